"""Drawings of networks as pictures inside a page."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from rwejax.drawing.picture import make_picture
from rwejax.spaces import Space

_MOST_BYTES = 900_000  # of all drawings of a page, before they grow by a third as texts


class Drawing(NamedTuple):
    """A network as a picture.

    Attributes:
        name: what the page calls it.
        architecture: its text form.
        picture: an SVG file as a data URI.
    """

    name: str
    architecture: str
    picture: str


def draw_networks(space: Space, named: Sequence[tuple[str, str]]) -> list[Drawing]:
    """Draw networks, as many as a page has room for; none where the extra draw is not installed.

    Args:
        space: made for the images.
        named: names and architectures, the important ones first.

    Raises:
        InputError: an architecture is none of the space, or no path leads through its network.
    """
    import matplotlib as mpl

    found, room = [], _MOST_BYTES
    with mpl.rc_context({"svg.fonttype": "none"}):
        for name, architecture in named:
            picture = make_picture(space, space.from_string(architecture))
            if picture is None:
                break
            room -= len(picture)
            if room < 0:
                break
            found.append(Drawing(name, architecture, f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"))
    return found
