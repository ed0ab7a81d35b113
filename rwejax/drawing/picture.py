"""A genome's network as a picture, where the library that lays it out is installed."""

import importlib.util

import numpy as np
from jaxtyping import Int

from rwejax.spaces import Space


def make_picture(space: Space, genome: Int[np.ndarray, " genes"]) -> bytes | None:
    """The network of a genome as an SVG file; None where the extra draw is not installed.

    Args:
        space: the space.
        genome: one genome of it.

    Raises:
        InputError: no path leads through the network.
    """
    if importlib.util.find_spec("fast_sugiyama") is None:
        return None
    from rwejax.drawing.graph import make_graph
    from rwejax.drawing.plot import to_svg  # takes half a second to import

    return to_svg(make_graph(space, genome), space.name, space.to_string(genome))
