"""The front of a search, to be asked: any two of what is known of its networks, over each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import BooleanFilter, CDSView, ColumnDataSource
from jaxtyping import Float, Int

from rwejax.errors import abridged
from rwejax.objectives import COMPLEXITY, COSTS, TRAINED_ERROR, recorded
from rwejax.reporting.look import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    Figure,
    Mark,
    add_hover,
    add_legend,
    make_figure,
    title,
)
from rwejax.searching.front import PLAIN, RANDOM
from rwejax.searching.result import SearchResult
from rwejax.storage.trainings import TrainedNetwork

MOST_OTHERS = 2000
"""Networks that are neither on the front nor trained, of which a page has so many, evenly spread over the search."""

_LONGEST = 70  # characters of an architecture under the pointer
_STD = {TRAINED_ERROR.name: "standard_error", "predicted_error": "predicted_std"}

FRONT_MARK = Mark("circle", ORANGE, 11, filled=True)
_FALLEN = Mark("diamond", ORANGE, 11)
_LABEL = Mark("triangle", GREEN, 9)
_RANDOM = Mark("x", BLUE, 9)
_PLAIN = Mark("square", PINK, 11, filled=True)
_OTHER = Mark("circle", GREY, 4)
_KNEE = Mark("circle", ORANGE, 21)

Columns = dict[str, Any]
Values = Float[np.ndarray, " n"]


class Axis(NamedTuple):
    """Something that is known of networks.

    Attributes:
        name: of a column.
        label: with unit, and which way is better.
        decimals: that are shown.
        cost: whether it can be limited.
    """

    name: str
    label: str
    decimals: int
    cost: bool = False

    @property
    def format(self) -> str:
        """How Bokeh writes a value, with its interval."""
        digits = f"{{0.{'0' * self.decimals}}}" if self.decimals else "{0}"
        std = _STD.get(self.name)
        return f"@{self.name}{digits}" + (f" ± @{std}{digits}" if std else "")


class FrontFigure(NamedTuple):
    """The figure, and what can be asked of it.

    Attributes:
        figure: a root of Bokeh's.
        axes: that can be chosen.
        x: name of the horizontal axis at first.
        y: of the vertical one.
        limits: for each cost its least and its largest value among the points.
        hidden: how many evaluations have no point, for there are too many.
    """

    figure: Figure
    axes: list[Axis]
    x: str
    y: str
    limits: dict[str, tuple[float, float]]
    hidden: int


def make_front_figure(result: SearchResult) -> FrontFigure:
    """The figure of a search with evaluations.

    Args:
        result: of a search, finished or not.
    """
    columns, axes = columns_of(result), axes_of(result)
    x, y = result.config.cost_names[-1], _vertical(result)
    names = {axis.name: axis for axis in axes}
    made = make_figure(names[x].label, names[y].label, "front")
    beside = {name for name in result.config.recorded if name not in COSTS} - _objectives(result)
    told = [axis for axis in axes if axis.name not in beside]
    line = _line(made, result, columns[x], columns[y])
    legend, shown, points = [], list[Columns](), _groups(result, columns)
    hidden = len(result.evaluations) - sum(len(each["x"]) for _, _, each, of_search in points if of_search)
    for label, mark, group, _ in points:
        drawn = _draw(made, label, mark, group, _completed(group, axes, x, y), told)
        legend.append((label, [*drawn, *(line if mark is FRONT_MARK else [])]))
        shown.append(group)
    add_legend(made, legend)
    limits = {axis.name: _span([group.get(axis.name) for group in shown]) for axis in axes if axis.cost}
    return FrontFigure(made, axes, x, y, limits, hidden)


def _draw(made: Figure, label: str, mark: Mark, group: Columns, columns: Columns, told: Sequence[Axis]) -> list[Any]:
    """Draw a group of points, with intervals, and facts for who points at one."""
    source = ColumnDataSource(columns)
    view = CDSView(filter=BooleanFilter(booleans=[True] * len(group["x"])))
    drawn = [made.scatter("x", "y", source=source, view=view, **mark.style)]
    if mark is _KNEE:  # the point inside has all of that
        return drawn
    known = [axis for axis in told if np.isfinite(group.get(axis.name, [np.nan])).any()]
    facts = [("architecture", "@architecture"), *((_short(axis.label), axis.format) for axis in known)]
    add_hover(made, drawn, [("", label), *facts])
    if mark is not _OTHER:  # of so many points nobody could tell intervals apart
        style = {"line_color": mark.color, "line_alpha": 0.6, "level": "underlay"}
        ends = ("x_low", "y", "x_high", "y"), ("x", "y_low", "x", "y_high")
        drawn += [made.segment(*each, source=source, view=view, **style) for each in ends]
    return drawn


def axes_of(result: SearchResult) -> list[Axis]:
    """What is known of the networks of a search.

    Args:
        result: the search.
    """
    errors = [Axis(TRAINED_ERROR.name, title(TRAINED_ERROR), 1)] if np.isfinite(result.outcome.error).any() else []
    if result.forecast is not None:
        errors.append(Axis("predicted_error", "predicted error (%), lower is better", 1))
    scores = [recorded(name) for name in result.config.recorded if name not in COSTS]
    costs = [cost for cost in COSTS.values() if cost.name in (*COMPLEXITY, *result.config.cost_names)]
    return [
        *errors,
        *(Axis(each.name, title(each), 2 if each.unit == "%" else 4) for each in scores),
        *(Axis(each.name, title(each), 3, cost=True) for each in costs),
        Axis("generation", "generation", 0),
    ]


def columns_of(result: SearchResult) -> Columns:
    """What is known of each evaluation, by the names of `axes_of`: in the units of the axes, NaN where unknown.

    Args:
        result: the search.
    """
    found: Columns = {"architecture": np.array([abridged(each.architecture, _LONGEST) for each in result.evaluations])}
    for name in result.config.recorded:
        values = np.array([each.scores[name] for each in result.evaluations], float)
        found[name] = np.where(np.isfinite(values), values, np.nan) / recorded(name).scale
    for name in COMPLEXITY:
        found[name] = np.array([getattr(each, name) for each in result.evaluations], float) / COSTS[name].scale
    found["generation"] = np.array([each.generation for each in result.evaluations], float)
    found |= {TRAINED_ERROR.name: result.outcome.error, "standard_error": result.outcome.standard_error}
    if result.forecast is not None:
        found |= {"predicted_error": result.forecast.error, "predicted_std": result.forecast.std}
    return found


def _objectives(result: SearchResult) -> set[str]:
    return {objective.name for objective in result.config.objectives}


def _vertical(result: SearchResult) -> str:
    if result.outcome.final:
        return TRAINED_ERROR.name
    return "predicted_error" if result.forecast is not None else result.config.objectives[0].name


def _line(made: Figure, result: SearchResult, x: Values, y: Values) -> list[Any]:
    """Steps through the front, which with a third objective would not go one way."""
    if len(result.config.objectives) > 2:
        return []
    rows = result.outcome.rows
    return [made.step(x[rows], y[rows], mode="after", line_color=ORANGE, line_alpha=0.6, name="front-line")]


def _groups(result: SearchResult, columns: Columns) -> list[tuple[str, Mark, Columns, bool]]:
    """Points by what they are: label, mark, columns, and whether they are evaluations that are nowhere else."""
    front, fallen = result.outcome.rows, result.outcome.fallen
    trained = np.flatnonzero(np.isfinite(result.outcome.error))
    labels = np.setdiff1d(trained, [*front, *fallen])
    others = np.setdiff1d(np.arange(len(result.evaluations)), [*front, *fallen, *labels])
    others = others[np.unique(np.linspace(0, len(others) - 1, min(MOST_OTHERS, len(others))).astype(int))]
    knee = [result.pick()] if len(front) else []
    found = [
        (f"evaluated, {len(others)}", _OTHER, _of_rows(columns, others), True),
        (f"labels, {len(labels)}", _LABEL, _of_rows(columns, labels), True),
        (f"off the front, {len(fallen)}", _FALLEN, _of_rows(columns, fallen), True),
    ]
    for role, label, mark in ((RANDOM, "random", _RANDOM), (PLAIN, "plain CNN", _PLAIN)):
        networks = [each for each in result.trained if each.role == role]
        number = f", {len(networks)}" if role == RANDOM else ""
        found.append((f"{label}{number}", mark, _of_trained(networks), False))
    found += [
        (f"front, {len(front)}", FRONT_MARK, _of_rows(columns, front), True),
        ("knee", _KNEE, _of_rows(columns, knee), False),
    ]
    return [each for each in found if len(each[2]["x"])]


def _of_rows(columns: Columns, rows: Int[np.ndarray, " rows"] | Sequence[int]) -> Columns:
    rows = np.asarray(rows, int)
    return {"x": rows} | {name: values[rows] for name, values in columns.items()}


def _of_trained(networks: Sequence[TrainedNetwork]) -> Columns:
    measured = [
        (each.validation_error, each.standard_error, *(getattr(each, name) for name in COMPLEXITY)) for each in networks
    ]
    names = (TRAINED_ERROR.name, "standard_error", *COMPLEXITY)
    values = dict(zip(names, np.array(measured, float).reshape(-1, len(names)).T, strict=True))
    values |= {name: values[name] / COSTS[name].scale for name in COMPLEXITY}
    return {"x": np.arange(len(networks)), "architecture": _texts(networks), **values}


def _texts(networks: Sequence[TrainedNetwork]) -> np.ndarray:
    return np.array([abridged(each.architecture, _LONGEST) for each in networks])


def _completed(group: Columns, axes: Sequence[Axis], x: str, y: str) -> Columns:
    """With a column for each axis and its interval, and those that are drawn."""
    unknown = np.full(len(group["x"]), np.nan)
    found: Columns = {"architecture": group["architecture"]}
    for axis in axes:
        values = group.get(axis.name, unknown)
        found[axis.name] = values
        if std := _STD.get(axis.name):
            found[std] = group.get(std, unknown)
            found |= {f"{axis.name}_low": values - found[std], f"{axis.name}_high": values + found[std]}
    for place, name in (("x", x), ("y", y)):
        found[place] = found[name]
        found |= {f"{place}_{end}": found.get(f"{name}_{end}", unknown) for end in ("low", "high")}
    return found


def _short(label: str) -> str:
    return label.rpartition(",")[0] or label


def _span(columns: Sequence[Values | None]) -> tuple[float, float]:
    values = np.concatenate([each for each in columns if each is not None])
    return float(np.nanmin(values)), float(np.nanmax(values))
