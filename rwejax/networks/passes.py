"""What the passes of one network write and leave."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Array, Float

Tree = Any
Tables = dict[str, Float[Array, "rows size"]]
Buffers = dict[str, Array]
Images = Float[Array, "images height width channels"]


@dataclass(frozen=True)
class ActivationObserver:
    """Reduces what passes by in a pass.

    Attributes:
        start: what is known before the first.
        add: takes what is known and two arrays, and returns what is known then, of the same shape.
    """

    start: Tree
    add: Callable[[Tree, Array, Array], Tree]


NOTHING = ActivationObserver((), lambda seen, first, second: seen)


class Kept(NamedTuple):
    """What a pass forwards keeps of a group's rows, so that the pass backwards need not compute it again.

    Attributes:
        outputs: those of each row's first convolution, of its second, and so on; vectors where kinds are not alike.
        moments: mean and variance of each of its normalisations, one after another.
    """

    outputs: list[Float[Array, "rows ..."]]
    moments: Float[Array, "rows size"]


class Passed(NamedTuple):
    """What a pass forwards leaves.

    Attributes:
        buffers: the maps of every buffer, of which `features` has the pooled features in its row 0.
        statistics: with `Norm.TRAIN`, the running statistics of each row after it.
        seen: what was observed.
        kept: with `Norm.TRAIN`, that of each group; otherwise None.
    """

    buffers: Buffers
    statistics: Tables
    seen: Tree
    kept: dict[str, Kept | None]


class Room(NamedTuple):
    """Where passes write. What an earlier pass of the same program has left there need not be cleared.

    Of another program, only the weights must be.

    Attributes:
        buffers: for the maps of a pass forwards.
        kept: for what it keeps of each group.
        gradients: for the gradients in the maps.
        weights: for those in the weights; zeros where the program has no row.
    """

    buffers: Buffers
    kept: dict[str, Kept | None]
    gradients: Buffers
    weights: Tables


class Gradients(NamedTuple):
    """What a pass backwards leaves.

    Attributes:
        weights: the gradients in them.
        images: those in the images.
        seen: what was observed.
        buffers: those in maps, which may hold anything where there is none.
    """

    weights: Tables
    images: Images
    seen: Tree
    buffers: Buffers
