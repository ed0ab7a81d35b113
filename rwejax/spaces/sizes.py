"""The sizes that a space can have: integers, and so small that nobody's networks pass them.

Within the bounds, counts of multiply-adds and parameters fit into 64 bits.
"""

import operator
from collections.abc import Mapping
from typing import Any

from rwejax.errors import InputError, quoted

LARGEST_CHANNELS = 4096

_RANGES = {
    "nodes": (1, 256),
    "layers": (1, 256),
    "cells": (1, 256),
    "channels": (1, LARGEST_CHANNELS),
    "classes": (2, 2**17),
}
_AXES = ("height", "width", "channels")
_LONGEST_AXIS = 1024


def plain_sizes(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a space with Python's integers for sizes.

    Args:
        options: some of nodes, layers, cells, channels, classes and input_shape, integers of any kind; others stay.

    Raises:
        InputError: a size is no integer, or out of its range.
    """
    found = dict(options)
    for name in _RANGES.keys() & found.keys():
        found[name] = _integer(name, found[name], *_RANGES[name])
    if "input_shape" in found:
        found["input_shape"] = _shape(found["input_shape"])
    return found


def settle_sizes(space: Any) -> None:
    """Bring the sizes of a space that is just made to Python's integers.

    Args:
        space: a frozen dataclass.

    Raises:
        InputError: see `plain_sizes`.
    """
    for name, value in plain_sizes(vars(space)).items():
        object.__setattr__(space, name, value)


def _shape(given: Any) -> tuple[int, ...]:
    try:
        lengths = tuple(given)
    except TypeError:
        lengths = ()
    if isinstance(given, str) or len(lengths) != len(_AXES):
        raise InputError(f"input_shape is {quoted(given)}: give height, width and channels of an image")
    return tuple(
        _integer(f"{axis} of input_shape", length, 1, _LONGEST_AXIS)
        for axis, length in zip(_AXES, lengths, strict=True)
    )


def _integer(name: str, value: Any, least: int, most: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise InputError(f"{name} is {quoted(value)}: give an integer")
    if not least <= number <= most:
        raise InputError(f"{name} is {quoted(number)}: give {least} to {most}")
    return number
