"""The look of a page's figures: colours that are seen on paper and in the dark, and a shape for each role.

Colours of axes, texts and grids are CSS variables of the page, which knows whether it is dark.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bokeh.models import BasicTicker, DataRange1d, HoverTool
from bokeh.models.annotations import Legend, LegendItem
from bokeh.plotting import figure

from rwejax.objectives import Objective

Figure = Any  # bokeh.plotting.figure, which is a function to type checkers


class Mark(NamedTuple):
    """How points of a role are drawn.

    Attributes:
        marker: the shape, by Bokeh's name.
        color: of the line, and of the inside of a filled one.
        size: in pixels.
        filled: whether there is an inside.
    """

    marker: str
    color: str
    size: int
    filled: bool = False

    @property
    def style(self) -> dict[str, Any]:
        """Options of a scatter glyph."""
        return {
            "marker": self.marker,
            "size": self.size,
            "line_color": self.color,
            "fill_color": self.color if self.filled else None,
            "line_width": 1.8,
        }


ORANGE, BLUE, GREEN, GREY, PINK = "#d9601a", "#3d86c6", "#0f9d76", "#7f8a96", "#c46aa0"
"""Close to those that everybody can tell apart (Wong, "Points of view: color blindness", Nature Methods 2011), none so
pale or so dark that it is lost on white or on black."""

SEVERAL = ORANGE, BLUE, GREEN, PINK, GREY
DASHES = "solid", "dashed", "dotted", "dotdash", "dashdot"
_LEGEND_CSS = """
.bk-label { color: var(--ink) !important; white-space: normal; margin-right: 1rem; }
.bk-inactive { opacity: 0.45; }
.bk-inactive .bk-overlay { background: none !important; }
"""

MARKERS = "circle", "triangle", "square", "diamond", "inverted_triangle"


def make_figure(x: str, y: str, name: str, **options: Any) -> Figure:
    """An empty figure as wide as the page, which lets a finger scroll.

    Args:
        x: title of the horizontal axis.
        y: title of the vertical axis.
        name: by which the page's script finds it.
        options: of `bokeh.plotting.figure`.
    """
    given: dict[str, Any] = {"height": 420, "sizing_mode": "stretch_width", "min_width": 280, **options}
    made = figure(
        x_axis_label=x,
        y_axis_label=y,
        name=name,
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_drag=None,
        active_scroll=None,
        toolbar_location="above",
        output_backend="canvas",
        **given,
    )
    made.toolbar.logo = None
    made.toolbar.autohide = False
    made.min_border_right = 12
    for ends in (made.x_range, made.y_range):
        if isinstance(ends, DataRange1d):
            ends.only_visible = True
    made.axis.axis_label_text_font_style = "normal"
    made.axis.axis_label_text_font_size = made.axis.major_label_text_font_size = "13px"
    made.axis.minor_tick_line_color = None
    return made


def add_hover(made: Figure, renderers: Sequence[Any], tooltips: Sequence[tuple[str, str]]) -> None:
    """Show facts of the points under the pointer.

    Args:
        made: the figure.
        renderers: of the points.
        tooltips: names and Bokeh's formats of values.
    """
    shown: dict[str, Any] = {"renderers": list(renderers), "tooltips": list(tooltips)}
    made.add_tools(HoverTool(**shown, visible=False, point_policy="snap_to_data"))


def add_legend(made: Figure, items: Sequence[tuple[str, Sequence[Any]]], columns: int = 2) -> None:
    """A legend below the figure; a click on an entry hides what it names.

    Args:
        made: the figure.
        items: labels and what they are of.
        columns: entries beside each other.
    """
    legend = Legend(
        items=[LegendItem(label=label, renderers=list(renderers)) for label, renderers in items],
        ncols=columns,
        location="top_left",
        click_policy="hide",
        stylesheets=[_LEGEND_CSS],
        border_line_color=None,
        background_fill_alpha=0.0,
        label_text_font_size="13px",
        spacing=2,
        margin=4,
    )
    made.add_layout(legend, "below")


def title(objective: Objective) -> str:
    """What an axis of an objective is called, on which values are as they are recorded.

    Args:
        objective: the objective.
    """
    return f"{objective.title}, {'higher' if objective.maximised else 'lower'} is better"


def as_recorded(objective: Objective, minimised: Any) -> Any:
    """Values without the sign with which they are minimised.

    Args:
        objective: what they are of.
        minimised: numbers or arrays.
    """
    return -minimised if objective.maximised else minimised


def whole_numbers(made: Figure) -> None:
    """Let the horizontal axis have ticks at whole numbers alone.

    Args:
        made: the figure.
    """
    made.xaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=8, num_minor_ticks=0)
