"""The figure of a training: accuracy over epochs."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rwejax.figures import FRONT, INK, QUIET, frame, save
from rwejax.training.records import Epoch


def plot_curve(epochs: Sequence[Epoch], axes: Axes) -> None:
    """Draw the accuracies of a training over its epochs.

    Args:
        epochs: what was measured after each.
        axes: where to draw.
    """
    numbers = [epoch.epoch for epoch in epochs]
    for name, color, line in (("train", QUIET, "--"), ("validation", FRONT, "-")):
        values = [getattr(epoch, f"{name}_accuracy") for epoch in epochs]
        axes.plot(numbers, values, color=color, linestyle=line, linewidth=1.4, label=name, zorder=3)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel("accuracy (%), higher is better", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=INK)
    frame(axes, f"validation accuracy {epochs[-1].validation_accuracy:.1f} % after {len(epochs)} epochs")


def save_curve(epochs: Sequence[Epoch], path: Path) -> None:
    """Draw the accuracies of a training as a file, which appears whole or not at all.

    Args:
        epochs: what was measured after each; one at least.
        path: the file, NAME.png or NAME.svg.
    """
    save(lambda figure: plot_curve(epochs, figure.add_subplot()), path)
