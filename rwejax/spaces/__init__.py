"""WHAT is searched: genomes, the architectures they stand for, and what these cost. No weights, no images."""

from dataclasses import fields
from typing import Any

from rwejax.errors import InputError
from rwejax.spaces.base import Space
from rwejax.spaces.cells import CellSpace
from rwejax.spaces.darts import Darts
from rwejax.spaces.macro import Macro
from rwejax.spaces.micro import Micro
from rwejax.spaces.nasbench201 import NASBench201
from rwejax.spaces.nasbench_macro import NASBenchMacro

_SPACES = {space.name: space for space in (Macro, Micro, Darts, NASBench201, NASBenchMacro)}

__all__ = ["CellSpace", "Darts", "Macro", "Micro", "NASBench201", "NASBenchMacro", "Space", "get", "names"]


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_SPACES)


def get(name: str, **options: Any) -> Space:
    """The search space of that name.

    Args:
        name: one of `names()`.
        options: the fields of the space's class, such as `nodes` and `channels` of `Macro`, and for every space
            `input_shape` (height, width, channels) and `classes`.

    Raises:
        InputError: no space has that name, or it has no such option, or an option is out of its range.

    Example:
        >>> get("macro", nodes=4).lower.shape
        (21,)
    """
    if name not in _SPACES:
        raise InputError(f"space {name!r} is unknown: choose one of {', '.join(names())}")
    known = [field.name for field in fields(_SPACES[name])]
    for option in options:
        if option not in known:
            raise InputError(f"space {name!r} has no option {option!r}: it takes {', '.join(known)}")
    return _SPACES[name](**options)
