"""The figures of a training: its curves, and which classes it takes for which."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper
from jaxtyping import Int

from rwejax.reporting.look import BLUE, GREY, ORANGE, Figure, Mark, add_hover, add_legend, make_figure, whole_numbers
from rwejax.training.records import Epoch

MOST_CLASSES = 30
"""Classes that a confusion matrix can be read with."""

_WITH_NUMBERS = 12
_SHADES = ["#ffffff00", *(f"{BLUE}{round(255 * share):02x}" for share in np.linspace(0.12, 0.9, 16))]


def make_curves_figure(epochs: Sequence[Epoch], measure: str, title: str) -> Figure:
    """Accuracies, or losses, over the epochs.

    Args:
        epochs: of the training, one or more.
        measure: accuracy or loss.
        title: of the vertical axis.
    """
    made = make_figure("epoch", title, measure, height=300)
    numbers = [each.epoch for each in epochs]
    styles = (("train", GREY, "dashed", "square"), ("validation", ORANGE, "solid", "circle"))
    legend = []
    for part, colour, dash, marker in styles:
        values = [getattr(each, f"{part}_{measure}") for each in epochs]
        source = ColumnDataSource({"epoch": numbers, "value": values})
        drawn = [
            made.line("epoch", "value", source=source, line_color=colour, line_dash=dash, line_width=2),
            made.scatter("epoch", "value", source=source, **Mark(marker, colour, 5, filled=True).style),
        ]
        add_hover(made, drawn[1:], [("", part), ("epoch", "@epoch"), (measure, "@value{0.00}")])
        legend.append((part, drawn))
    whole_numbers(made)
    add_legend(made, legend)
    return made


def make_confusion_figure(matrix: Int[np.ndarray, "classes classes"], names: Sequence[str]) -> Figure | None:
    """How many test images of each class are taken for which; None of more classes than can be read.

    Args:
        matrix: by label and by prediction.
        names: of the classes, by label.
    """
    if len(names) > MOST_CLASSES:
        return None
    names = [f"{name} " * names[:row].count(name) + name for row, name in enumerate(names)]  # each once
    rows, columns = (axis.ravel() for axis in np.indices(matrix.shape))
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    source = ColumnDataSource(
        {
            "label": [names[row] for row in rows],
            "predicted": [names[column] for column in columns],
            "count": matrix.ravel(),
            "share": share.ravel(),
            "text": [str(count) if count else "" for count in matrix.ravel().tolist()],
            "color": np.where(share.ravel() > 50, "#ffffff", GREY),
        }
    )
    made = make_figure(
        "predicted",
        "label",
        "confusion",
        height=max(320, 140 + 24 * len(names)),
        x_range=names,
        y_range=names[::-1],
        max_width=760,
    )
    cells = made.rect(
        "predicted",
        "label",
        1,
        1,
        source=source,
        line_color=None,
        fill_color={"field": "share", "transform": LinearColorMapper(palette=_SHADES, low=0, high=100)},
    )
    if len(names) <= _WITH_NUMBERS:
        made.text(
            "predicted",
            "label",
            "text",
            source=source,
            text_align="center",
            text_baseline="middle",
            text_font_size="12px",
            text_color="color",
        )
    tooltips = [("label", "@label"), ("predicted", "@predicted"), ("images", "@count, @share{0.0} % of the class")]
    add_hover(made, [cells], tooltips)
    made.xaxis.major_label_orientation = np.pi / 4
    made.grid.visible = False
    return made
