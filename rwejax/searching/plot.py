"""The figure of a search: every evaluation, and the front."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.figures import FRONT, INK, SHADES, dress, save, short

if TYPE_CHECKING:
    from rwejax.searching.result import SearchResult


def plot_front(result: "SearchResult", axes: Axes, x: int = -1, y: int = 0) -> None:
    """Draw all evaluations, coloured by generation, and their front, over two of the objectives.

    Args:
        result: of a search; also of one that is not finished.
        axes: where to draw; gets labels with units, a title and a colour bar.
        x: column of the objective along the horizontal axis.
        y: column of the objective along the vertical axis.
    """
    config, objectives = result.config, result.objectives
    shown = np.isfinite(objectives).all(axis=1)
    generation = np.array([evaluation.generation for evaluation in result.evaluations])
    dots = axes.scatter(
        objectives[shown, x],
        objectives[shown, y],
        c=generation[shown],
        cmap=SHADES,
        vmin=1,
        vmax=max(2, config.generations),
        s=14,
        linewidths=0,
        zorder=2,
    )
    front = objectives[result.front]
    if objectives.shape[1] == 2:
        axes.plot(
            front[:, x],
            front[:, y],
            drawstyle="steps-post",
            color=FRONT,
            linewidth=1.2,
            alpha=0.7,
            zorder=3,
        )
    axes.plot(
        front[:, x],
        front[:, y],
        linestyle="none",
        marker="o",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=FRONT,
        markeredgewidth=1.4,
        zorder=4,
        label=f"front, {len(front)} networks",
    )
    axes.set_xlabel(config.objectives[x].axis, color=INK)
    axes.set_ylabel(config.objectives[y].axis, color=INK)
    names = {"nsga2": "NSGA-II", "random": "random search"}
    title = f"{config.space_name} on {short(config.dataset)}, {names[config.algorithm]}, {len(objectives)} evaluations"
    axes.legend(loc="upper right", labelcolor=INK, edgecolor="none", framealpha=1.0)
    dress(axes, title, dots, "generation").locator = MaxNLocator(integer=True)


def save_front(result: "SearchResult", path: Path) -> None:
    """Draw the front of a search, a panel for each two objectives, as a PNG file, which appears whole or not at all.

    Args:
        result: of a search.
        path: the file.
    """
    pairs = list(itertools.combinations(range(len(result.config.objectives)), 2))

    def draw(figure: Figure) -> None:
        for axes, (y, x) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
            plot_front(result, axes, x, y)

    save(draw, path, panels=len(pairs))
