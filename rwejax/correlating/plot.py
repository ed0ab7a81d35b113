"""The figures of correlations: scores over truth, and Spearman over generations."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.correlating import statistics
from rwejax.figures import FRONT, INK, QUIET, SHADES, dress, frame, save, short

if TYPE_CHECKING:
    from rwejax.correlating.result import CorrelateResult, CorrelateRunsResult, Measured


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
        cmap=SHADES,
        s=14,
        linewidths=0,
        zorder=2,
    )
    hidden = f", {measured.dead} dead networks not shown" if measured.dead else ""
    axes.set_xlabel(f"{measured.estimator}, higher is better{hidden}", color=INK)
    axes.set_ylabel(_truth(result), color=INK)
    title = f"{result.config.space_name}, {measured.estimator} on {short(result.config.dataset)}"
    found = measured.correlation
    if not np.isnan(found.spearman):
        title += f", Spearman {found.spearman:.2f} ({found.low:.2f} to {found.high:.2f})"
    dress(axes, title, dots, "multiply-adds (M)")


def plot_macs(result: "CorrelateResult", axes: Axes) -> None:
    """Draw the baseline, what multiply-adds alone say of each network.

    Args:
        result: the networks.
        axes: where to draw; gets labels and a title.
    """
    macs = result.macs.astype(float)
    axes.scatter(macs / 1e6, result.values, c=QUIET, marker="^", s=14, linewidths=0, zorder=2)
    axes.set_xlabel("multiply-adds (M)", color=INK)
    axes.set_ylabel(_truth(result), color=INK)
    spearman = statistics.spearman(macs, result.values)
    frame(axes, "baseline: multiply-adds alone" + ("" if np.isnan(spearman) else f", Spearman {spearman:.2f}"))


def plot_generations(result: "CorrelateRunsResult", axes: Axes) -> None:
    """Draw the correlation inside each generation: the mean over runs, and a band of a standard deviation around it.

    Args:
        result: of the runs.
        axes: where to draw; gets labels and a title.
    """
    generations = np.arange(1, len(result.mean) + 1)
    low, high = result.mean - result.std, result.mean + result.std
    axes.fill_between(generations, low, high, color=QUIET, alpha=0.25, linewidth=0, zorder=2)
    axes.plot(generations, result.mean, color=FRONT, linewidth=1.4, marker="o", markersize=3.5, zorder=3)
    axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlabel("generation", color=INK)
    axes.set_ylabel(f"Spearman with {result.config.column.replace('_', ' ')}", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    runs, share = len(result.runs), result.known.sum() / result.evaluated.sum()
    frame(axes, f"{result.space}, {runs} run{'s' * (runs != 1)}, {100 * share:.0f} % of genomes known")


def _truth(result: "CorrelateResult") -> str:
    return f"{result.config.column.replace('_', ' ')}, higher is better"


def save_scores(result: "CorrelateResult", measured: "Measured", path: Path) -> None:
    """Draw the scores of an estimator, beside those of multiply-adds, as a file, which appears whole or not at all.

    Args:
        result: the networks.
        measured: the estimator.
        path: the file, NAME.png or NAME.svg.
    """

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        plot_scores(result, measured, left)
        plot_macs(result, right)

    save(draw, path, panels=2)


def save_generations(result: "CorrelateRunsResult", path: Path) -> None:
    """Draw the correlations of searches' generations as a PNG file, which appears whole or not at all.

    Args:
        result: of the runs.
        path: the file.
    """
    save(lambda figure: plot_generations(result, figure.add_subplot()), path)
