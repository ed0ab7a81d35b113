"""Figures, drawn without pyplot, so that nothing global changes and no display is needed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.config import label
from rwejax.storage.atomic import replacing

if TYPE_CHECKING:
    from rwejax.correlate import CorrelateResult, Measured
    from rwejax.correlate_runs import CorrelateRunsResult
    from rwejax.search import SearchResult
    from rwejax.training import Epoch

_INK, _QUIET, _FRONT = "#1f2933", "#8a94a0", "#c2410c"
# The ends of the map are too pale and too dark to be told from paper and ink.
_SHADES = ListedColormap(colormaps["YlGnBu"](np.linspace(0.25, 1.0, 256)))


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
        cmap=_SHADES,
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
    title = f"{config.space} on {_short(config.dataset)}, {names[config.algorithm]}, {len(objectives)} evaluations"
    axes.legend(loc="upper right", labelcolor=_INK, edgecolor="none", framealpha=1.0)
    _dress(axes, title, dots, "generation").locator = MaxNLocator(integer=True)


def plot_scores(result: "CorrelateResult", measured: "Measured", axes: Axes) -> None:
    """Draw what an estimator says of each network against what it is worth, coloured by its multiply-adds.

    Args:
        result: the networks.
        measured: the estimator. Dead networks have no place on its axis and are counted in its label.
        axes: where to draw; gets labels, a title and a colour bar.
    """
    shown = np.isfinite(measured.scores)
    dots = axes.scatter(
        measured.scores[shown],
        result.values[shown],
        c=result.macs[shown] / 1e6,
        cmap=_SHADES,
        s=14,
        linewidths=0,
        zorder=2,
    )
    hidden = f", {measured.dead} dead networks not shown" if measured.dead else ""
    axes.set_xlabel(measured.estimator + hidden, color=_INK)
    axes.set_ylabel(result.config.column.replace("_", " "), color=_INK)
    title = f"{result.config.space}, {measured.estimator} on {_short(result.config.dataset)}"
    found = measured.correlation
    if not np.isnan(found.spearman):
        title += f", Spearman {found.spearman:.2f} ({found.low:.2f} to {found.high:.2f})"
    _dress(axes, title, dots, "multiply-adds (M)")


def plot_generations(result: "CorrelateRunsResult", axes: Axes) -> None:
    """Draw the correlation inside each generation: the mean over runs, and a band of one deviation to either side.

    Args:
        result: of the runs.
        axes: where to draw; gets labels and a title.
    """
    generations = np.arange(1, len(result.mean) + 1)
    low, high = result.mean - result.deviation, result.mean + result.deviation
    axes.fill_between(generations, low, high, color=_QUIET, alpha=0.25, linewidth=0, zorder=2)
    axes.plot(generations, result.mean, color=_FRONT, linewidth=1.4, marker="o", markersize=3.5, zorder=3)
    axes.axhline(0, color=_QUIET, linewidth=0.8, zorder=1)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlabel("generation", color=_INK)
    axes.set_ylabel(f"Spearman with {result.config.column.replace('_', ' ')}", color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    runs, share = len(result.runs), result.known.sum() / result.evaluated.sum()
    _frame(axes, f"{result.space}, {runs} run{'s' * (runs != 1)}, {100 * share:.0f} % of genomes known")


def plot_curve(epochs: Sequence["Epoch"], axes: Axes) -> None:
    """Draw the accuracies of a training over its epochs.

    Args:
        epochs: what was measured after each.
        axes: where to draw.
    """
    numbers = [epoch.epoch for epoch in epochs]
    for name, color in (("train", _QUIET), ("validation", _FRONT)):
        values = [getattr(epoch, f"{name}_accuracy") for epoch in epochs]
        axes.plot(numbers, values, color=color, linewidth=1.4, label=name, zorder=3)
    axes.set_xlabel("epoch", color=_INK)
    axes.set_ylabel("accuracy (%)", color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=_INK)
    _frame(axes, f"validation accuracy {epochs[-1].validation_accuracy:.1f} % after {len(epochs)} epochs")


def _short(dataset: str) -> str:
    """A dataset's name, of a folder its last part."""
    return dataset.rstrip("/").rpartition("/")[2] if ":" in dataset else dataset


def _frame(axes: Axes, title: str) -> None:
    """Give axes the look that all figures share."""
    axes.set_title(title, loc="left", color=_INK, fontsize=11)
    axes.grid(color="#e6e9ed", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_QUIET, labelcolor=_INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_QUIET)


def _dress(axes: Axes, title: str, dots: PathCollection, label: str) -> Colorbar:
    """Frame axes, and add a bar for the colours of the dots."""
    _frame(axes, title)
    bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=30)
    bar.set_label(label, color=_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_QUIET, labelcolor=_INK, length=3)
    return bar


def save_front(result: "SearchResult", path: Path) -> None:
    """Draw the front of a search as a PNG file, which appears whole or not at all."""
    _save(lambda axes: plot_front(result, axes), path)


def save_scores(result: "CorrelateResult", measured: "Measured", path: Path) -> None:
    """Draw the scores of an estimator as a PNG file, which appears whole or not at all."""
    _save(lambda axes: plot_scores(result, measured, axes), path)


def save_generations(result: "CorrelateRunsResult", path: Path) -> None:
    """Draw the correlations of searches' generations as a PNG file, which appears whole or not at all."""
    _save(lambda axes: plot_generations(result, axes), path)


def save_curve(epochs: Sequence["Epoch"], path: Path) -> None:
    """Draw the accuracies of a training as a PNG file, which appears whole or not at all."""
    _save(lambda axes: plot_curve(epochs, axes), path)


def _save(plot: Callable[[Axes], None], path: Path) -> None:
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plot(figure.add_subplot())
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=160)
