"""The look that all figures share. Drawn without pyplot, so that nothing global changes and no display is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from rwejax.storage.atomic import replacing

INK, QUIET, FRONT = "#1f2933", "#8a94a0", "#c2410c"
# The ends of the map are too pale and too dark to be told from paper and ink.
SHADES = ListedColormap(colormaps["YlGnBu"](np.linspace(0.25, 1.0, 256)))


def short(dataset: str) -> str:
    """A dataset's name, of a folder its last part."""
    return dataset.rstrip("/").rpartition("/")[2] if ":" in dataset else dataset


def frame(axes: Axes, title: str) -> None:
    """Give axes the look that all figures share.

    Args:
        axes: what is drawn on.
        title: above them, on the left.
    """
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.grid(color="#e6e9ed", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET, labelcolor=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(QUIET)


def dress(axes: Axes, title: str, dots: PathCollection, label: str) -> Colorbar:
    """Frame axes, and add a bar for the colours of the dots.

    Args:
        axes: what is drawn on.
        title: above them, on the left.
        dots: a scatter plot whose colours mean values.
        label: of these values, with their unit.
    """
    frame(axes, title)
    bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=30)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=QUIET, labelcolor=INK, length=3)
    return bar


def explain(axes: Axes, columns: int = 2) -> None:
    """A legend below axes, where it hides nothing.

    Args:
        axes: whose artists have labels.
        columns: entries beside each other.
    """
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, -0.14),
        ncols=columns,
        borderaxespad=0.0,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )


def new_figure(panels: int = 1) -> Figure:
    """An empty figure.

    Args:
        panels: axes beside each other, for which there is to be room.
    """
    figure = Figure(figsize=(7.2 * panels, 4.8), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def show(draw: Callable[[Axes], None], axes: Axes | None = None) -> Figure:
    """Draw on axes.

    Args:
        draw: is given the axes.
        axes: the axes; None: those of a new figure.

    Returns:
        The figure that they are in.
    """
    axes = axes or new_figure().add_subplot()
    draw(axes)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def save(draw: Callable[[Figure], None], path: Path, panels: int = 1) -> None:
    """Draw on a new figure, as a file of pixels or of vectors, which appears whole or not at all.

    Args:
        draw: is given the empty figure.
        path: the file, NAME.png or NAME.svg; texts of the latter stay texts, and equal figures are equal files.
        panels: axes beside each other, for which there is to be room.
    """
    figure = new_figure(panels)
    draw(figure)
    write(figure, path)


def write(figure: Figure, path: Path) -> None:
    """Write a figure that is drawn, as `save` does.

    Args:
        figure: the figure.
        path: the file, NAME.png or NAME.svg.
    """
    kind = path.suffix.removeprefix(".")
    options: dict[str, dict[str, Any]] = {"png": {"dpi": 160}, "svg": {"metadata": {"Date": None}}}
    with mpl.rc_context({"svg.hashsalt": "rwejax", "svg.fonttype": "none"}), replacing(path, "wb") as file:
        figure.savefig(file, format=kind, **options[kind])
