"""The other figures of a search: how its front grew, and what its predictions are worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from rwejax.objectives import TRAINED_ERROR
from rwejax.reporting.look import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    Figure,
    Mark,
    add_hover,
    add_legend,
    as_recorded,
    make_figure,
    title,
    whole_numbers,
)
from rwejax.searching.front import FINALIST, LABEL, find_front
from rwejax.searching.history import Generation
from rwejax.searching.result import SearchResult

_STAGES = 4  # of the front that are drawn


def make_hypervolume_figure(result: SearchResult, history: Sequence[Generation]) -> Figure:
    """What the evaluations dominate, over the generations.

    Args:
        result: the search.
        history: of the search, one generation or more.
    """
    units = [objective.unit for objective in result.config.objectives]
    unit = f" ({' x '.join(units)})" if all(units) else ""
    made = make_figure("generation", f"hypervolume{unit}, higher is better", "hypervolume", height=300)
    first = result.config.objectives[0]
    source = ColumnDataSource(
        {
            "generation": [each.generation for each in history],
            "evaluations": [each.evaluations for each in history],
            "hypervolume": [each.hypervolume for each in history],
            "best": [first.write(each.best) for each in history],
        }
    )
    made.line("generation", "hypervolume", source=source, line_color=BLUE, line_width=2)
    points = made.scatter("generation", "hypervolume", source=source, **Mark("circle", BLUE, 7, filled=True).style)
    add_hover(
        made,
        [points],
        [
            ("generation", "@generation"),
            ("evaluations", "@evaluations"),
            ("hypervolume", "@hypervolume{0.0000}"),
            ("best so far", "@best"),
        ],
    )
    whole_numbers(made)
    return made


def make_growth_figure(result: SearchResult) -> Figure:
    """The front of the objectives after a few of the generations.

    Args:
        result: the search, of one whole generation or more.
    """
    first, *_, last = result.config.objectives
    made = make_figure(title(last), title(first), "growth", height=300)
    done = len(result.evaluations) // result.config.population_size
    stages = np.unique(np.geomspace(1, done, min(_STAGES, done)).round().astype(int))
    legend = []
    for place, generation in enumerate(stages.tolist()):
        points = result.objectives[: generation * result.config.population_size]
        points = points[find_front(points)]
        colour = ORANGE if generation == stages[-1] else GREY
        x, y = as_recorded(last, points[:, -1]), as_recorded(first, points[:, 0])
        drawn = [made.scatter(x, y, **Mark(MARKERS[-1 - place % len(MARKERS)], colour, 8).style)]
        if points.shape[1] == 2:
            dash = DASHES[(len(stages) - 1 - place) % len(DASHES)]
            drawn.append(made.step(x, y, mode="after", line_color=colour, line_width=2, line_dash=dash))
        legend.append((f"after generation {generation}", drawn))
    add_legend(made, legend)
    return made


def make_calibration_figure(result: SearchResult) -> Figure | None:
    """Trained errors over what was predicted without them; None of a search that predicts nothing.

    Labels are predicted by the other labels. The predictions of networks that were trained at the end alone are by all
    labels.

    Args:
        result: the search.
    """
    forecast = result.forecast
    if forecast is None:
        return None
    made = make_figure("predicted error (%)", TRAINED_ERROR.title, "calibration", height=360)
    left_out = forecast.left_out()
    texts = [each.architecture for each in result.evaluations]
    labels = {each.architecture for each in result.trained if each.role == LABEL}
    later = [
        (each, row)
        for each in result.trained
        if each.role == FINALIST and each.architecture not in labels
        for row in [texts.index(each.architecture)]
    ]
    groups = [
        (
            f"labels, each by the others, {len(forecast.labelled)}",
            Mark("triangle", GREEN, 10, filled=True),
            [texts[row] for row in forecast.labelled],
            (left_out.error, left_out.std),
            forecast.errors,
        ),
        (
            f"finalists, by the labels, {len(later)}",
            Mark("circle", ORANGE, 9),
            [each.architecture for each, _ in later],
            (forecast.error[[row for _, row in later]], forecast.std[[row for _, row in later]]),
            np.array([each.validation_error for each, _ in later]),
        ),
    ]
    legend, reached = [], []
    for label, mark, architectures, (predicted, std), trained in groups:
        if not len(trained):
            continue
        source = ColumnDataSource(
            {
                "architecture": [text[:70] for text in architectures],
                "predicted": predicted,
                "std": std,
                "low": predicted - std,
                "high": predicted + std,
                "trained": trained,
            }
        )
        drawn: list[Any] = [
            made.segment("low", "trained", "high", "trained", source=source, line_color=mark.color, line_alpha=0.6),
            made.scatter("predicted", "trained", source=source, **mark.style),
        ]
        add_hover(
            made,
            drawn[-1:],
            [
                ("", label),
                ("architecture", "@architecture"),
                ("predicted", "@predicted{0.0} ± @std{0.0} %"),
                ("trained", "@trained{0.0} %"),
            ],
        )
        legend.append((label, drawn))
        reached += [predicted, trained]
    ends = [float(end(np.concatenate(reached))) for end in (np.nanmin, np.nanmax)]
    made.line(ends, ends, line_color=GREY, line_dash="dashed")
    add_legend(made, legend, columns=1)
    return made
