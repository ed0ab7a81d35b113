"""The figure of a comparison: hypervolumes over evaluations, and the fronts beside them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwejax.figures import INK, frame, new_figure, short
from rwejax.objectives import TRAINED_ERROR
from rwejax.searching.front import find_front

if TYPE_CHECKING:
    from rwejax.comparing.comparison import Comparison

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Those that everybody can tell apart: Wong, "Points of view: color blindness", Nature Methods 2011."""


def draw(comparison: "Comparison", axes: Sequence[Axes] | None = None) -> Figure:
    """Draw both panels.

    Args:
        comparison: the searches.
        axes: two, where to draw; None: those of a new figure.

    Returns:
        The figure that they are in.
    """
    left, right = new_figure(panels=2).subplots(1, 2) if axes is None else axes
    plot_hypervolumes(comparison, left)
    plot_fronts(comparison, right)
    figure = left.get_figure(root=True)
    assert figure is not None
    return figure


def plot_hypervolumes(comparison: "Comparison", axes: Axes) -> None:
    """Draw the mean over the runs of each group, and a band of a standard deviation around it.

    Args:
        comparison: the searches.
        axes: where to draw; gets labels, a legend and a title.
    """
    for number, group in enumerate(comparison.groups):
        color, mean, std, runs = _color(number), group.mean, group.std, len(group.results)
        label = f"{group.label}, {runs} run{'s' * (runs != 1)}"
        axes.fill_between(group.evaluations, mean - std, mean + std, color=color, alpha=0.2, linewidth=0, zorder=2)
        axes.plot(
            group.evaluations, mean, color=color, linewidth=1.4, marker="o", markersize=2.5, label=label, zorder=3
        )
    units = [objective.unit for objective in comparison.config.objectives]
    axes.set_xlabel("evaluations", color=INK)
    axes.set_ylabel("hypervolume" + (f" ({' x '.join(units)})" if all(units) else ""), color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=INK)
    frame(axes, f"{comparison.config.space_name} on {short(comparison.config.dataset)}, mean and std over runs")


def plot_fronts(comparison: "Comparison", axes: Axes) -> None:
    """Draw the front of each run in the colour of its group, the first objective over the last.

    Once all fronts are trained, for as many epochs, they are those of the trained networks' errors.

    Args:
        comparison: the searches.
        axes: where to draw; gets labels, a legend and a title.
    """
    first, *_, last = comparison.config.objectives
    results = [result for group in comparison.groups for result in group.results]
    epochs = {result.trained[0].epochs if result.outcome.final else 0 for result in results}
    trained = len(epochs) == 1 and 0 not in epochs
    for number, group in enumerate(comparison.groups):
        for run, result in enumerate(group.results):
            points = result.outcome.points if trained else result.objectives
            front = points[find_front(points)]
            axes.plot(
                front[:, -1],
                front[:, 0],
                # With a third objective, points of a front may lie above and to the right of others.
                linestyle="-" if front.shape[1] == 2 else "none",
                drawstyle="steps-post",
                color=_color(number),
                linewidth=1.0,
                marker="o",
                markersize=3,
                alpha=0.7,
                label=None if run else group.label,
                zorder=3,
            )
    axes.set_xlabel(last.axis, color=INK)
    axes.set_ylabel(TRAINED_ERROR.axis if trained else first.axis, color=INK)
    axes.legend(frameon=False, labelcolor=INK)
    count = max(epochs)
    after = f", trained for {count} epoch{'s' * (count != 1)}" if trained else ""
    frame(axes, f"fronts of all runs{after}")


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]
