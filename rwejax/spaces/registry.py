"""The spaces by name."""

import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from rwejax import plugins
from rwejax.errors import InputError
from rwejax.spaces.base import SIZE_OPTIONS, Space
from rwejax.spaces.darts import Darts
from rwejax.spaces.macro import Macro
from rwejax.spaces.micro import Micro
from rwejax.spaces.nasbench201 import NASBench201
from rwejax.spaces.nasbench_macro import NASBenchMacro
from rwejax.spaces.sizes import plain_sizes

_SPACES: dict[str, type] = {space.name: space for space in (Macro, Micro, Darts, NASBench201, NASBenchMacro)}


_PROMISED = (
    "name",
    "proxy_sizes",
    "default_estimator",
    "input_shape",
    "classes",
    "lower",
    "upper",
    "sample",
    "canonical",
    "macs",
    "params",
    "to_string",
    "from_string",
)


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_SPACES)


def get(name: str, **options: Any) -> Space:
    """The search space of that name.

    Args:
        name: one of `names()`, or FILE.py:NAME of a loaded file; see `rwejax.plugins`.
        options: the fields of the space's class, such as `nodes` and `channels` of `Macro`, and for every space
            `input_shape` (height, width, channels) and `classes`.

    Raises:
        InputError: no space has that name, or it has no such option, or an option is out of its range.

    Examples:
        >>> get("macro", nodes=4).lower.shape
        (21,)
    """
    space_class = get_class(name)
    known = [field.name for field in fields(space_class)]
    for option in options:
        if option not in known:
            raise InputError(f"space {name!r} has no option {option!r}: it takes {', '.join(known)}")
    space: Space = space_class(**plain_sizes(options))
    return space


def get_class(name: str) -> Any:
    """The class of the search space of that name.

    Args:
        name: one of `names()`, or FILE.py:NAME.

    Raises:
        InputError: no space has that name, or it is a file's that was not loaded.
    """
    if plugins.parse(name):
        space_class = plugins.find(name, "--space")
        if space_class not in _SPACES.values():
            called = plugins.name_of(name)
            raise InputError(f"{name!r} is no space: end its file with rwejax.register_space({called}, Lowering(...))")
        return space_class
    if name not in _SPACES:
        raise InputError(f"space {name!r} is unknown: choose one of {', '.join(names())}")
    return _SPACES[name]


def register(space_class: Any) -> None:
    """Make a space known by its name; for programs that only count and draw. See `rwejax.register_space`.

    Args:
        space_class: a frozen dataclass that has what `Space` lists.

    Raises:
        InputError: see `check`.
    """
    check(space_class)
    _SPACES[space_class.name] = space_class
    plugins.note(space_class)


def check(space_class: Any) -> None:
    """Refuse a class that is no space.

    Args:
        space_class: has what `Space` lists.

    Raises:
        InputError: it is no frozen dataclass, something is missing, or another space has its name.
    """
    called = f"space {getattr(space_class, '__name__', space_class)!r}"
    if not isinstance(space_class, type) or not is_dataclass(space_class):
        raise InputError(f"{called} is no dataclass: put @dataclasses.dataclass(frozen=True) above its class")
    if not space_class.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise InputError(f"{called} can be changed: put @dataclasses.dataclass(frozen=True) above its class")
    options = {field.name: field for field in fields(space_class)}
    missing = [name for name in _PROMISED if not hasattr(space_class, name) and name not in options]
    if missing:
        raise InputError(f"{called} lacks {', '.join(missing)}: rwejax.spaces.Space says what each is")
    bare = [name for name, field in options.items() if field.default is MISSING and field.default_factory is MISSING]
    if bare:
        raise InputError(f"{called} has no default for {', '.join(bare)}: give one to every field")
    name: Any = space_class.name  # type: ignore[attr-defined]
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise InputError(f"{called} has the name {name!r}: give letters, digits and underscores")
    for size in space_class.proxy_sizes:  # type: ignore[attr-defined]
        if size not in SIZE_OPTIONS or size not in options:
            raise InputError(
                f"{called} has {size!r} in its proxy_sizes: sizes are those of its fields that are called "
                f"{', '.join(SIZE_OPTIONS)}"
            )
    if name in _SPACES and not plugins.alike(_SPACES[name], space_class):
        raise InputError(f"{called} has the name {name!r} of another space: give it another name")


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
