"""The figure of a search: every evaluation, and the front."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.figures import FRONT, INK, SHADES, dress, frame, save, short
from rwejax.objectives import COSTS, TRAINED_ERROR
from rwejax.searching.front import PLAIN, RANDOM, find_front

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
    front = objectives[find_front(objectives)]
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


def plot_trained(result: "SearchResult", axes: Axes) -> None:
    """Draw the errors of trained networks over their macs: the front, what has fallen out, and what it has to beat.

    Args:
        result: of a search whose finalists are trained.
        axes: where to draw; gets labels with units, a legend and a title.
    """
    front, epochs = result.outcome, result.trained[0].epochs
    macs = np.array([each.macs for each in result.evaluations]) / 1e6
    rows, fallen = front.rows, front.fallen[np.isfinite(front.error[front.fallen])]
    axes.plot(macs[rows], front.error[rows], drawstyle="steps-post", color=FRONT, linewidth=1.2, alpha=0.7, zorder=3)
    found = front.error, front.standard_error
    _errors(axes, macs[rows], *(each[rows] for each in found), label=f"front, {len(rows)} networks", **_FRONT)
    if len(fallen):
        _errors(axes, macs[fallen], *(each[fallen] for each in found), label="trained too, not on the front", **_FALLEN)
    for role, label, style in ((RANDOM, "random networks of these sizes", _RANDOM), (PLAIN, "a plain CNN", _PLAIN)):
        others = [each for each in result.trained if each.role == role]
        measured = [(each.macs / 1e6, each.validation_error, each.standard_error) for each in others]
        if others:
            _errors(axes, *np.array(measured).T, label=label, **style)
    axes.set_xlabel(COSTS["macs"].axis, color=INK)
    axes.set_ylabel(TRAINED_ERROR.axis, color=INK)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", labelcolor=INK, edgecolor="none", framealpha=1.0)
    frame(axes, f"trained for {epochs} epoch{'s' * (epochs != 1)}, with standard errors")


_FRONT = {"marker": "o", "color": FRONT, "markerfacecolor": "white", "markersize": 5.5, "zorder": 5}
_FALLEN = {"marker": "o", "color": FRONT, "markersize": 3, "alpha": 0.5, "zorder": 4}
_RANDOM = {"marker": "x", "color": "0.55", "markersize": 5, "zorder": 2}
_PLAIN = {"marker": "s", "color": INK, "markersize": 5, "zorder": 4}


def _errors(axes: Axes, x: Any, y: Any, error: Any, **style: Any) -> None:
    axes.errorbar(x, y, error, linestyle="none", elinewidth=0.8, markeredgewidth=1.2, **style)


def save_front(result: "SearchResult", path: Path) -> None:
    """Draw the front of a search as a PNG file, which appears whole or not at all.

    A panel for each two objectives, and before them, once the finalists are trained, one of these.

    Args:
        result: of a search.
        path: the file.
    """
    pairs = list(itertools.combinations(range(len(result.config.objectives)), 2))
    trained = int(result.outcome.final)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, trained + len(pairs), squeeze=False)[0]
        if trained:
            plot_trained(result, panels[0])
        for axes, (y, x) in zip(panels[trained:], pairs, strict=True):
            plot_front(result, axes, x, y)

    save(draw, path, panels=trained + len(pairs))
