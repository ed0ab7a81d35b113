"""Drawings of networks as pictures inside a page, and as files beside it."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rwejax.drawing.picture import make_picture
from rwejax.spaces import Space
from rwejax.storage.atomic import replacing

_MOST_BYTES = 900_000  # of all drawings of a page, before they grow by a third as texts


class Drawing(NamedTuple):
    """A network as a picture.

    Attributes:
        file: what its file is called, network.svg or network-NUMBER.svg.
        name: what the page calls it.
        architecture: its text form.
        picture: the content of an SVG file.
    """

    file: str
    name: str
    architecture: str
    picture: bytes

    @property
    def uri(self) -> str:
        """The picture as part of a page."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.picture).decode()}"


def draw_networks(space: Space, named: Sequence[tuple[str, str, str]]) -> list[Drawing]:
    """Draw networks, as many as a page has room for; none where the extra draw is not installed.

    Args:
        space: made for the images.
        named: files, names and architectures, the important ones first.

    Raises:
        InputError: an architecture is none of the space, or no path leads through its network.
    """
    import matplotlib as mpl

    found, room = [], _MOST_BYTES
    with mpl.rc_context({"svg.fonttype": "none"}):
        for file, name, architecture in named:
            picture = make_picture(space, space.from_string(architecture))
            if picture is None:
                break
            room -= len(picture)
            if room < 0:
                break
            found.append(Drawing(file, name, architecture, picture))
    return found


def write_drawings(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write drawings as files, in place of those that are there.

    Args:
        drawings: of networks; those of an earlier front are removed, unless nothing was drawn now.
        folder: of the run.
    """
    if not drawings:
        return
    for path in folder.glob("network-[0-9]*.svg"):
        path.unlink()
    for each in drawings:
        with replacing(folder / each.file, "wb") as file:
            file.write(each.picture)
