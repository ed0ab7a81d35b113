"""Where the boxes of a drawing go: in layers, each below all that it reads, so that few lines cross.

The library fast-sugiyama orders the layers, and leaves way for lines that pass through them (Sugiyama, Tagawa, Toda,
"Methods for visual understanding of hierarchical system structures", IEEE Transactions on Systems, Man, and Cybernetics
1981).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_SPACING = 72  # the library's own, between layers


class Layout(NamedTuple):
    """A graph in layers, of unit distance; the least coordinates are 0, and y points up.

    Attributes:
        boxes: where the middle of each box is.
        lines: for each edge the points that it passes, from the middle of a box to that of another.
    """

    boxes: Float[np.ndarray, "boxes 2"]
    lines: list[Float[np.ndarray, "points 2"]]


def lay_out(edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out a graph without circles; what is not connected stands side by side.

    Args:
        edges: from and to, each once; boxes are numbered from 0, and each has an edge.
    """
    from fast_sugiyama import from_edges

    count = 1 + max(map(max, edges))
    boxes, lines, left = np.zeros((count, 2)), [], 0.0
    laid_out: Any = from_edges(edges, vertex_spacing=_SPACING, dummy_vertices=True)  # names may be texts, too
    for found, width, _, pieces in laid_out:
        places = {name: np.array(place) / _SPACING + (left, 0) for name, place in found}
        following = {first: second for first, second in pieces if first >= count}  # behind a bend there is one piece
        for first, second in pieces:
            if first < count:
                passed = [first, second]
                while passed[-1] >= count:
                    passed.append(following[passed[-1]])
                lines.append(np.array([places[each] for each in passed]))
        for box in places.keys() & range(count):
            boxes[box] = places[box]
        left += width / _SPACING + 1
    return Layout(boxes, lines)
