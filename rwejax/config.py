"""What all configs have in common. A config is a flat, frozen dataclass, read from YAML or the command line.

Nothing heavy is imported here, so that `--help` and a mistyped key are answered at once.
"""

import dataclasses
import numbers
import os
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from rwejax import plugins
from rwejax.errors import InputError, quoted

PRECISIONS = ("auto", "float32", "tensorfloat32", "bfloat16")

FIGURE_FORMATS = ("png", "svg")
"""Pixels, or vectors."""

PATHS = ("folder", "csv", "hf")
"""Kinds of datasets that are named by where they lie, as folder:PATH."""

_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text", Path: "a path"}


def check_figure_format(name: str) -> None:
    """Refuse a kind of figures that there is not.

    Args:
        name: one of `FIGURE_FORMATS`.

    Raises:
        InputError: it is none.
    """
    if name not in FIGURE_FORMATS:
        raise InputError(f"figure_format {quoted(name)} is unknown: choose {' or '.join(FIGURE_FORMATS)}")


class RunConfig(ABC):
    """What the configs of run folders have in common: dataclasses that have these fields, and others."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields that older files have by another name."""

    space: str
    dataset: str
    data_dir: Path | None
    run_dir: Path | None

    def __post_init__(self) -> None:
        normalise(self)

    @abstractmethod
    def validate(self) -> None:
        """Refuse what cannot be done."""

    @property
    def space_name(self) -> str:
        """The space as files and screens show it: NAME of a FILE.py:NAME."""
        return plugins.name_of(self.space)

    @property
    def dataset_name(self) -> str:
        """The images as names of run folders show them: the last part of a path, NAME of a FILE.py:NAME."""
        kind, _, path = self.dataset.partition(":")
        name = path if kind in PATHS else plugins.name_of(self.dataset)
        return name.rstrip("/").rpartition("/")[2]

    @property
    def code_flags(self) -> tuple[str, ...]:
        """The flags that a command which resumes the run needs to be given again, since they name code."""
        return self.space_flags + self._flags("estimator") + self._flags("dataset")

    @property
    def space_flags(self) -> tuple[str, ...]:
        """The same for a command that builds the run's networks."""
        return self._flags("space")

    def _flags(self, field: str) -> tuple[str, ...]:
        given = (getattr(self, field, None) or "").split(",")
        if not any(map(plugins.parse, given)):
            return ()
        return f"--{field}", ",".join(map(plugins.without_digest, given))

    def resolved(self) -> Self:
        """The same with absolute paths, so that it can be resumed from any working directory.

        Raises:
            InputError: the space is code of a file that was not loaded; see `rwejax.plugins`.
        """
        data_dir = None if self.data_dir is None else _absolute(self.data_dir)
        kind, _, path = self.dataset.partition(":")
        placed = f"{kind}:{_absolute(path)}" if kind in PATHS and path else None
        dataset = placed or plugins.resolve(self.dataset, "--dataset")
        space = plugins.resolve(self.space, "--space")
        return dataclasses.replace(self, data_dir=data_dir, dataset=dataset, space=space)  # type: ignore[type-var]

    def differences(self, other: Self) -> list[str]:
        """Names of the fields in which two configs differ, wherever their results may lie."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "run_dir"]  # type: ignore[arg-type]
        return [name for name in names if _meaning(name, getattr(self, name)) != _meaning(name, getattr(other, name))]


def _absolute(path: str | Path) -> Path:
    return Path(os.path.expanduser(path)).absolute()  # which leaves ~NAME of nobody alone; pathlib's raises


def _meaning(field: str, value: Any) -> Any:
    """A value of a field such that one file at two places, as on two hosts, is the same."""
    if value is None or field not in ("space", "estimator", "dataset"):
        return value
    return [plugins.identity(each) for each in value.split(",")]


def normalise(config: Any) -> None:
    """Bring the fields of a config to Python's own types, which files hold and ranges are checked of.

    A scalar of numpy or JAX becomes a number, an integer a float where the field is one, and what names a path a
    `pathlib.Path`.

    Args:
        config: a frozen dataclass, just made; each field is of one of Python's scalar types, `Path`, or such a type or
            None.

    Raises:
        InputError: a value is not of its field's type.
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        kinds = typing.get_args(hint) or (hint,)
        try:
            object.__setattr__(config, field.name, _plain(value, kinds))
        except (TypeError, ValueError, OverflowError) as error:
            expected = " or ".join(_WORDS.get(kind, "None") for kind in kinds)
            raise InputError(f"{field.name} is {quoted(value)}: give {expected}") from error


def _plain(value: Any, kinds: tuple[Any, ...]) -> Any:
    """The value as the first of the types that it can be; a `TypeError` if it can be none."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if value is None and types.NoneType in kinds:
        return None
    if Path in kinds and isinstance(value, str | os.PathLike):
        return Path(os.fsdecode(value))
    # True is an int to Python, and a mistake to everyone else.
    if isinstance(value, bool):
        if bool in kinds:
            return value
    elif int in kinds and isinstance(value, numbers.Integral):
        return int(value)
    elif float in kinds and isinstance(value, numbers.Real):
        return float(value)
    elif str in kinds and isinstance(value, str):
        return str.__str__(value)
    raise TypeError
