"""The figure of a search: every evaluation, and the front."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rwejax.figures import FRONT, INK, SHADES, dress, save, short
from rwejax.objectives import label
from rwejax.searching.result import SearchResult


def plot_front(result: SearchResult, axes: Axes) -> None:
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
            front[:, -1],
            front[:, 0],
            drawstyle="steps-post",
            color=FRONT,
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
        markeredgecolor=FRONT,
        markeredgewidth=1.4,
        zorder=4,
        label=f"front, {len(front)} networks",
    )
    score = config.shown[0]
    axes.set_xlabel("multiply-adds (M)", color=INK)
    axes.set_ylabel(label(score) if "error" in score else f"negative {label(score)}", color=INK)
    names = {"nsga2": "NSGA-II", "random": "random search"}
    title = f"{config.space_name} on {short(config.dataset)}, {names[config.algorithm]}, {len(objectives)} evaluations"
    axes.legend(loc="upper right", labelcolor=INK, edgecolor="none", framealpha=1.0)
    dress(axes, title, dots, "generation").locator = MaxNLocator(integer=True)


def save_front(result: SearchResult, path: Path) -> None:
    """Draw the front of a search as a PNG file, which appears whole or not at all."""
    save(lambda axes: plot_front(result, axes), path)
