"""Pages from templates, by Jinja, with Bokeh's script inside: a file that is complete in itself."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from bokeh.embed import json_item
from bokeh.models import Plot
from bokeh.resources import Resources

from rwejax.console import duration

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, figures: Mapping[str, Plot | None], **facts: Any) -> str:
    """A page.

    Args:
        template: name of the file.
        figures: by the names under which the template shows them; None: left out.
        facts: what else the template shows, by name.
    """
    items = {name: json_item(figure) for name, figure in figures.items() if figure is not None}
    return _environment().get_template(template).render(figures=items, bokeh=_bokeh(), **facts)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # a reference comes after what it refers to
    environment.filters["duration"] = duration
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


@functools.cache
def _bokeh() -> str:
    """Bokeh's script without its widgets and tables, which are not used, as an element."""
    return Resources(mode="inline", components=["bokeh"], minified=True, log_level="warn").render()
