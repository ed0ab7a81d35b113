"""The spaces by name."""

from dataclasses import fields
from typing import Any

from rwejax.errors import InputError
from rwejax.spaces.base import SIZE_OPTIONS, Space
from rwejax.spaces.darts import Darts
from rwejax.spaces.macro import Macro
from rwejax.spaces.micro import Micro
from rwejax.spaces.nasbench201 import NASBench201
from rwejax.spaces.nasbench_macro import NASBenchMacro

_SPACES: dict[str, type] = {space.name: space for space in (Macro, Micro, Darts, NASBench201, NASBenchMacro)}


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
    space_class = get_class(name)
    known = [field.name for field in fields(space_class)]
    for option in options:
        if option not in known:
            raise InputError(f"space {name!r} has no option {option!r}: it takes {', '.join(known)}")
    space: Space = space_class(**options)
    return space


def get_class(name: str) -> Any:
    """The class of the search space of that name.

    Raises:
        InputError: no space has that name.
    """
    if name not in _SPACES:
        raise InputError(f"space {name!r} is unknown: choose one of {', '.join(names())}")
    return _SPACES[name]


def sizes_of(config: Any) -> dict[str, int]:
    """The sizes that a config gives its space, the others as the space's `proxy_sizes` has them.

    Args:
        config: has a `space`, a `dataset` and the options of `SIZE_OPTIONS`, None where the user gave nothing.

    Raises:
        InputError: no space has that name.
    """
    given = {name: value for name in SIZE_OPTIONS if (value := getattr(config, name)) is not None}
    space_class = get_class(config.space)
    digits = getattr(space_class, "digits_sizes", {}) if config.dataset == "digits" else {}
    return {**space_class.proxy_sizes, **digits, **given}
