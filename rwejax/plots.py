"""Figures, drawn without pyplot, so that nothing global changes and no display is needed."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.config import label, replacing

if TYPE_CHECKING:
    from rwejax.search import SearchResult

_INK, _QUIET, _FRONT = "#1f2933", "#8a94a0", "#c2410c"
# The ends of the map are too pale and too dark to be told from paper and ink.
_GENERATIONS = ListedColormap(colormaps["YlGnBu"](np.linspace(0.25, 1.0, 256)))


def plot_front(result: "SearchResult", axes: Axes) -> None:
    """Draw all evaluations, coloured by generation, and their front, over the first estimator's objective.

    Args:
        result: of a search; also of one that is not finished.
        axes: where to draw; gets labels with units, a title and a colour bar.
    """
    config, objectives = result.config, result.objectives
    shown = np.isfinite(objectives).all(axis=1)
    generation = np.array([evaluation.generation for evaluation in result.evaluations])
    dots = axes.scatter(
        objectives[shown, -1],
        objectives[shown, 0],
        c=generation[shown],
        cmap=_GENERATIONS,
        vmin=1,
        vmax=max(2, config.generations),
        s=14,
        linewidths=0,
        zorder=2,
    )
    front = objectives[result.front]
    if objectives.shape[1] == 2:
        axes.plot(
            front[:, -1],
            front[:, 0],
            drawstyle="steps-post",
            color=_FRONT,
            linewidth=1.2,
            alpha=0.7,
            zorder=3,
        )
    axes.plot(
        front[:, -1],
        front[:, 0],
        linestyle="none",
        marker="o",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=_FRONT,
        markeredgewidth=1.4,
        zorder=4,
        label=f"front, {len(front)} networks",
    )
    score = config.shown[0]
    axes.set_xlabel("multiply-adds (M)", color=_INK)
    axes.set_ylabel(label(score) if "error" in score else f"negative {label(score)}", color=_INK)
    names = {"nsga2": "NSGA-II", "random": "random search"}
    dataset = config.dataset.rstrip("/").rpartition("/")[2] if ":" in config.dataset else config.dataset
    axes.set_title(
        f"{config.space} on {dataset}, {names[config.algorithm]}, {len(objectives)} evaluations",
        loc="left",
        color=_INK,
        fontsize=11,
    )
    axes.legend(loc="upper right", labelcolor=_INK, edgecolor="none", framealpha=1.0)
    axes.grid(color="#e6e9ed", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_QUIET, labelcolor=_INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_QUIET)
    bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=30)
    bar.set_label("generation", color=_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_QUIET, labelcolor=_INK, length=3)
    bar.locator = MaxNLocator(integer=True)


def save_front(result: "SearchResult", path: Path) -> None:
    """Draw the front of a search as a PNG file, which appears whole or not at all."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plot_front(result, figure.add_subplot())
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=160)
