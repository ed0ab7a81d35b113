"""The figure of a search: every evaluation, and the front."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.figures import FRONT, INK, SHADES, dress, explain, frame, save, short
from rwejax.objectives import COSTS, TRAINED_ERROR
from rwejax.searching.front import PLAIN, RANDOM, find_front

if TYPE_CHECKING:
    from rwejax.searching.result import SearchResult


def plot_front(result: "SearchResult", axes: Axes, x: int = -1, y: int = 0) -> None:
    """Draw all evaluations, by generation, and their front, over two of the objectives.

    Args:
        result: of a search; also of one that is not finished.
        axes: where to draw; gets labels with units, a legend, a title and a colour bar.
        x: column of the objective along the horizontal axis.
        y: column of the objective along the vertical axis.
    """
    config, objectives = result.config, result.objectives
    dots = _plot_evaluations(result, axes, x, y)
    front = objectives[find_front(objectives)]
    if objectives.shape[1] == 2:
        axes.plot(front[:, x], front[:, y], **_STEPS)
    label = _front_label(len(front))
    axes.plot(front[:, x], front[:, y], linestyle="none", markeredgewidth=1.4, label=label, **_FRONT)
    axes.set_xlabel(config.objectives[x].axis, color=INK)
    axes.set_ylabel(config.objectives[y].axis, color=INK)
    names = {"nsga2": "NSGA-II", "random": "random search"}
    title = f"{config.space_name} on {short(config.dataset)}, {names[config.algorithm]}, {len(objectives)} evaluations"
    dress(axes, title, dots, "generation").locator = MaxNLocator(integer=True)
    explain(axes)


def _front_label(networks: int) -> str:
    return f"front, {networks} network{'s' * (networks != 1)}"


def _generations(begin: int, end: int) -> str:
    return f"generation {begin}" if begin == end else f"generations {begin} to {end}"


def _plot_evaluations(result: "SearchResult", axes: Axes, x: int, y: int) -> PathCollection:
    """Dots, whose shapes say roughly what their colours say: the first generation is random; the rest is halved."""
    objectives, last = result.objectives, max(2, result.config.generations)
    shown = np.isfinite(objectives).all(axis=1)
    generation = np.array([evaluation.generation for evaluation in result.evaluations])
    middle = 1 + last // 2
    parts: tuple[tuple[int, int, dict[str, Any], str], ...] = (
        (1, 1, {"marker": "x", "linewidths": 1.0, "s": 18}, "generation 1, random"),
        (2, middle, {"marker": "^", "linewidths": 0, "s": 16}, _generations(2, middle)),
        (middle + 1, last, {"marker": "o", "linewidths": 0, "s": 14}, _generations(middle + 1, last)),
    )
    for begin, end, style, label in parts:
        rows = shown & (begin <= generation) & (generation <= end)
        dots = axes.scatter(
            objectives[rows, x],
            objectives[rows, y],
            c=generation[rows],
            cmap=SHADES,
            vmin=1,
            vmax=last,
            zorder=2,
            label=label if rows.any() else None,
            **style,
        )
    return dots


def plot_trained(result: "SearchResult", axes: Axes) -> None:
    """Draw the errors of trained networks over their macs: the front, what has fallen out, and what it has to beat.

    Numbers at the front are those that `--pick` takes.

    Args:
        result: of a search whose finalists are trained.
        axes: where to draw; gets labels with units, a legend and a title.
    """
    front, epochs = result.outcome, result.trained[0].epochs
    macs = np.array([each.macs for each in result.evaluations]) / 1e6
    rows, fallen = front.rows, front.fallen[np.isfinite(front.error[front.fallen])]
    axes.plot(macs[rows], front.error[rows], **_STEPS)
    found = front.error, front.standard_error
    label = _front_label(len(rows))
    _errors(axes, macs[rows], *(each[rows] for each in found), label=label, markeredgewidth=1.2, **_FRONT)
    _number(axes, macs[rows], front.error[rows], int(np.flatnonzero(rows == result.pick())[0]))
    if len(fallen):
        _errors(axes, macs[fallen], *(each[fallen] for each in found), label="trained, not on the front", **_FALLEN)
    for role, label, style in ((RANDOM, "chance: random networks of these sizes", _RANDOM), (PLAIN, _CNN, _PLAIN)):
        others = [each for each in result.trained if each.role == role]
        measured = np.array([(each.macs / 1e6, each.validation_error, each.standard_error) for each in others])
        if others:
            _errors(axes, *measured.T, label=label, **style)
        if others and role == RANDOM:
            best = measured[find_front(measured[:, 1::-1])]
            axes.plot(*best[:, :2].T, drawstyle="steps-post", color="0.55", linestyle=":", linewidth=1.2, zorder=2)
    axes.set_xlabel(COSTS["macs"].axis, color=INK)
    axes.set_ylabel(TRAINED_ERROR.axis, color=INK)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    frame(axes, f"trained for {epochs} epoch{'s' * (epochs != 1)}, with standard errors")
    explain(axes)


_CNN = "a plain CNN"
_STEPS: dict[str, Any] = {"drawstyle": "steps-post", "color": FRONT, "linewidth": 1.2, "alpha": 0.7, "zorder": 3}
_FRONT: dict[str, Any] = {
    "marker": "o",
    "color": FRONT,
    "markerfacecolor": "white",
    "markeredgecolor": FRONT,
    "markersize": 5.5,
    "zorder": 5,
}
_FALLEN: dict[str, Any] = {"marker": "D", "color": FRONT, "markersize": 3, "alpha": 0.5, "zorder": 4}
_RANDOM: dict[str, Any] = {"marker": "x", "color": "0.55", "markersize": 5, "markeredgewidth": 1.2, "zorder": 2}
_PLAIN: dict[str, Any] = {"marker": "s", "color": INK, "markersize": 5, "zorder": 4}


def _errors(axes: Axes, x: Any, y: Any, error: Any, **style: Any) -> None:
    axes.errorbar(x, y, error, linestyle="none", elinewidth=0.8, **style)


def _number(axes: Axes, x: Any, y: Any, knee: int) -> None:
    """Write the places in front.csv beside the points."""
    for place, point in enumerate(zip(x, y, strict=True)):
        text = f"{place + 1}{', knee' * (place == knee)}"
        axes.annotate(text, point, (5, 4), textcoords="offset points", color=FRONT, fontsize=8, zorder=6)


def save_front(result: "SearchResult", path: Path) -> None:
    """Draw the front of a search as a file, which appears whole or not at all.

    A panel for each two objectives, and before them, once the finalists are trained, one of these.

    Args:
        result: of a search.
        path: the file, NAME.png or NAME.svg.
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
