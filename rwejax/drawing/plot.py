"""The picture of a network: a panel a part, a box an operation, darker where more of the multiply-adds are."""

import io
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from rwejax.drawing.graph import Graph, Operation, Panel, panels
from rwejax.drawing.layout import Layout, lay_out
from rwejax.figures import INK, QUIET, SHADES

_WIDTH, _HEIGHT = 1.36, 0.64  # of a box, in inches as all lengths
_COLUMN, _LAYER = 1.52, 1.02  # between middles of boxes
_END = 0.26  # height of a box at an end of a panel
_LINE = 0.135  # between the lines in a box
_HEADING = 0.5  # above a panel
_GAP = 0.5  # between panels, and around all
_NARROWEST, _WIDEST = 1.9, 18.0  # panel, and panels beside each other


class _Box(NamedTuple):
    """What is written in a box.

    Attributes:
        lines: the first one is its name.
        share: its multiply-adds, over the most that a box has; None at an end of a panel.
    """

    lines: tuple[str, ...]
    share: float | None


class _Drawn(NamedTuple):
    """A panel with its boxes in place.

    Attributes:
        heading: two lines.
        boxes: in the order of the layout's.
        layout: in inches.
        size: width and height, with the heading.
    """

    heading: tuple[str, str]
    boxes: list[_Box]
    layout: Layout
    size: tuple[float, float]


def to_svg(graph: Graph, name: str, architecture: str) -> bytes:
    """A drawing of a network as an SVG file; equal networks give equal files.

    Args:
        graph: the network.
        name: of its space.
        architecture: its text form.
    """
    macs, params = (sum(getattr(each, cost) for each in graph.operations) for cost in ("macs", "params"))
    title = f"{name}: {_short(macs)} macs, {_short(params)} params"
    drawn = [_make(graph, panel) for panel in panels(graph)]
    places, (width, height) = _pack([each.size for each in drawn])
    caption = [*textwrap.wrap(architecture, int(width * 12)), "The darker a box, the more multiply-adds it has."]
    top = 0.75 + 0.16 * len(caption)
    # A figure without a canvas of a screen: that of SVG is made when it is saved.
    figure = Figure(figsize=(width + 2 * _GAP, height + _GAP + top), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-_GAP, width + _GAP), ylim=(-height - _GAP, top))
    axes.axis("off")
    axes.text(0, top - 0.32, title, color=INK, fontsize=11, va="center")
    axes.text(0, top - 0.48, "\n".join(caption), color=QUIET, fontsize=7, va="top", linespacing=1.25)
    for each, (x, y) in zip(drawn, places, strict=True):
        _draw(axes, each, x, y)
    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "rwejax"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _make(graph: Graph, panel: Panel) -> _Drawn:
    drawn = [rows[-1] for rows in panel.rows]  # of several parts the last one, whose sources are parts of its own kind
    number = {row: k for k, row in enumerate(drawn)}
    boxes = [_box(graph, [graph.operations[row] for row in rows]) for rows in panel.rows]
    edges, ends = [], dict[str, int]()

    def end(name: str) -> int:
        if name not in ends:
            ends[name] = len(boxes)
            boxes.append(_Box((name,), None))
        return ends[name]

    for row in drawn:
        for source in graph.operations[row].sources:
            first = number[source] if source in number else end(_origin(graph, panel, source))
            edges.append((first, number[row]))
    read = {source for each in graph.operations if each.part != panel.parts[-1] for source in each.sources}
    outputs = [row for row in drawn if row in read]
    if len(outputs) > 1:
        edges += [(number[row], end("output")) for row in outputs]
    layout, width, height = _in_inches(lay_out(list(dict.fromkeys(edges))))
    return _Drawn(_heading(graph, panel), boxes, layout, (width, height + _HEADING))


def _in_inches(layout: Layout) -> tuple[Layout, float, float]:
    """A layout in inches, with its width and height; boxes and lines are inside."""
    scale, half = np.array([_COLUMN, _LAYER]), np.array([_WIDTH / 2, 0])
    boxes, lines = layout.boxes * scale, [line * scale for line in layout.lines]
    ends = np.concatenate([boxes - half, boxes + half, *lines])
    left, right = ends[:, 0].min(), ends[:, 0].max()
    width = max(right - left, _NARROWEST)
    shift = np.array([(width - left - right) / 2, _END / 2])
    return Layout(boxes + shift, [line + shift for line in lines]), width, ends[:, 1].max() + _END


def _box(graph: Graph, alike: Sequence[Operation]) -> _Box:
    """The box of operations of parts that are wired alike."""
    most = max(operation.macs for operation in graph.operations)
    shapes = list(dict.fromkeys(" x ".join(map(str, operation.shape)) for operation in alike))
    macs, params = ([getattr(operation, name) for operation in alike] for name in ("macs", "params"))
    costs = f"{_span(macs)} macs" * any(macs), f"{_span(params)} params" * any(params)
    lines = alike[0].name.replace("_", " "), _ends(shapes), *filter(None, costs)
    return _Box(lines, max(macs) / max(most, 1))


def _origin(graph: Graph, panel: Panel, source: int) -> str:
    """What a source outside the panel is called: of several parts, by how many parts it is before each."""
    if source < 0:
        return f"image  {' x '.join(map(str, graph.image_shape))}"
    part = graph.operations[source].part
    if len(panel.parts) == 1:
        return _named(graph.parts[part])
    return {1: "previous", 2: "previous but one"}.get(panel.parts[-1] - part, _named(graph.parts[part]))


def _heading(graph: Graph, panel: Panel) -> tuple[str, str]:
    rows = [graph.operations[row] for rows in panel.rows for row in rows]
    macs, params = (sum(getattr(operation, name) for operation in rows) for name in ("macs", "params"))
    together = ", together" * (len(panel.parts) > 1)
    names = _list([_named(graph.parts[part]) for part in panel.parts])
    return names, f"{_short(macs)} macs, {_short(params)} params{together}"


def _list(names: Sequence[str]) -> str:
    """Names that differ in a number, such as cell 1, cell 2, cell 3 and cell 5, as cell 1-3, 5."""
    matches = [re.fullmatch(r"(.*?)(\d+)", name) for name in names]
    if len(names) == 1 or not all(matches) or len({each[1] for each in matches if each}) > 1:
        return ", ".join(names)
    runs: list[list[int]] = []
    for number in (int(each[2]) for each in matches if each):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    numbers = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"{matches[0][1] if matches[0] else ''}{', '.join(numbers)}"


def _named(part: str) -> str:
    return re.sub(r"(?<=[a-z])(?=\d)", " ", part.replace("_", " "))


def _span(values: Sequence[int]) -> str:
    return _ends([_short(value) for value in sorted(set(values))])


def _ends(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} - {texts[-1]}"


def _short(count: int) -> str:
    """Three digits of a count, with M or k."""
    for limit, unit in ((10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return str(count)


def _pack(sizes: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """The upper left corners of panels, side by side in rows, and the size of all.

    One for which a row has no more room goes below a short one of that row, or begins the next.
    """
    places = list[tuple[float, float]]()
    x = y = row = 0.0
    columns = list[tuple[float, float, float]]()  # of the row: left end, width, and what is free below
    for width, height in sizes:
        if x and x + width > _WIDEST:
            fitting = [k for k, (_, wide, low) in enumerate(columns) if wide >= width and low - height >= y - row]
            if fitting:
                left, wide, low = columns[fitting[0]]
                places.append((left, low))
                columns[fitting[0]] = left, wide, low - height - _GAP
                continue
            x, y, row, columns = 0.0, y - row - _GAP, 0.0, []
        places.append((x, y))
        columns.append((x, width, y - height - _GAP))
        x, row = x + width + _GAP, max(row, height)
    right = max(left + width for (left, _), (width, _) in zip(places, sizes, strict=True))
    return places, (right, row - y)


def _draw(axes: Axes, panel: _Drawn, x: float, y: float) -> None:
    """Draw a panel whose upper left corner is given."""
    axes.text(x, y - 0.1, panel.heading[0], color=INK, fontsize=9, fontweight="bold", va="center")
    axes.text(x, y - 0.28, panel.heading[1], color=QUIET, fontsize=7, va="center")
    axes.plot([x, x + panel.size[0]], [y - 0.4] * 2, color="#e6e9ed", linewidth=0.8)
    corner = np.array([x, y - panel.size[1]])
    for line in panel.layout.lines:
        curve = _curve(line + corner, *(_half(panel, each) for each in (line[0], line[-1])))
        axes.add_patch(
            FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=6, color=QUIET, linewidth=0.9, zorder=1)
        )
    for place, box in zip(panel.layout.boxes + corner, panel.boxes, strict=True):
        _draw_box(axes, place, box)


def _half(panel: _Drawn, place: np.ndarray) -> float:
    """Half of the height of the box at a place."""
    (box,) = np.flatnonzero((panel.layout.boxes == place).all(1))
    return _HEIGHT / 2 if panel.boxes[box].share is not None else _END / 2


def _curve(points: np.ndarray, first: float, last: float) -> Curve:
    """A line from the lower edge of a box to the upper edge of another, straight beside the boxes that it passes.

    Args:
        points: that it passes, from middle to middle.
        first: half of the height of the box that it leaves.
        last: half of the height of the box that it reaches.
    """
    halves = [first, *[_HEIGHT / 2] * (len(points) - 2), last]
    vertices, codes = [points[0] - (0, first)], [Curve.MOVETO]
    for (x0, y0), (x1, y1), before, behind in zip(points[:-1], points[1:], halves[:-1], halves[1:], strict=True):
        middle = (y0 - before + y1 + behind) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1 + behind), (x1, y1 - behind)]
        codes += [Curve.CURVE4] * 3 + [Curve.LINETO]
    return Curve(vertices[:-1], codes[:-1])


def _draw_box(axes: Axes, place: np.ndarray, box: _Box) -> None:
    end = box.share is None
    height = _END if end else _HEIGHT
    fill = "white" if box.share is None else _paler(box.share)
    axes.add_patch(
        FancyBboxPatch(
            (place[0] - _WIDTH / 2, place[1] - height / 2),
            _WIDTH,
            height,
            boxstyle=f"round,pad=0,rounding_size={height / 2 if end else 0.07}",
            facecolor=fill,
            edgecolor=QUIET,
            linewidth=0.7,
            zorder=2,
        )
    )
    if end:
        axes.text(place[0], place[1], box.lines[0], color=INK, fontsize=6.5, ha="center", va="center", zorder=3)
        return
    top = place[1] + _LINE * (len(box.lines) - 1) / 2
    for k, line in enumerate(box.lines):
        size, colour = (8, INK) if k == 0 else (6, "#46525f")
        axes.text(place[0], top - k * _LINE, line, color=colour, fontsize=size, ha="center", va="center", zorder=3)


def _paler(share: float) -> tuple[float, ...]:
    """The colour of an operation; ink must be read on it."""
    colour = np.array(SHADES(0.4 * share)[:3])
    return tuple(colour + (1 - colour) * (0.85 - 0.55 * share))
