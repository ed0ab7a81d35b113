"""Configs as YAML: read with every mistake named, written so that the file also starts a fresh run."""

import contextlib
import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rwejax.config import RunConfig
from rwejax.errors import InputError, quoted
from rwejax.storage.atomic import replacing
from rwejax.storage.files import read_whole
from rwejax.storage.meta import check_format

Config = TypeVar("Config")
"""A flat dataclass with a field `run_dir`, such as `SearchConfig`."""

Stored = TypeVar("Stored", bound=RunConfig)

_MOST_BYTES = 2**16
_DEEPEST = 4
_LONGEST_KEY = 100  # which is compared with the known ones

_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text", Path: "a path"}


def read_config(path: str | Path, base: Config) -> Config:
    """Read a YAML file of fields.

    Args:
        path: the file.
        base: where the fields come from that the file does not name.

    Raises:
        InputError: the file is missing, unreadable or no YAML, a key is unknown, or a value has the wrong type.
    """
    try:
        text = read_whole(Path(path), _MOST_BYTES).decode("utf-8")
    except FileNotFoundError as error:
        raise InputError(f"config file {str(path)!r} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"config file {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"config file {str(path)!r} is no YAML: write one 'key: value' a line") from error
    return from_yaml(text, base, path)


def from_yaml(text: str, base: Config, path: str | Path = "-") -> Config:
    """Read what `to_yaml` or a user wrote; `path` is where it stands.

    Args:
        text: the content of a file.
        base: where the fields come from that the text does not name.
        path: the file, for errors.

    Raises:
        InputError: the text is no YAML, a key is unknown or stands there twice, or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(base))
    types_of = {field.name: hints[field.name] for field in dataclasses.fields(base)}  # type: ignore[arg-type]
    renamed = getattr(base, "renamed", {})
    values = {}
    for written, value in _pairs(text, path):
        key = renamed.get(written, written)
        if key not in types_of:
            close = difflib.get_close_matches(str(key)[:_LONGEST_KEY], types_of, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(types_of)}"
            raise InputError(f"config file {str(path)!r} has the unknown key {quoted(key)}: {hint}")
        if key in values:
            raise InputError(f"config file {str(path)!r} has the key {quoted(key)} twice: leave one out")
        values[key] = _convert(path, key, value, types_of[key])
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _pairs(text: str, path: str | Path) -> list[tuple[Any, Any]]:
    """Keys and values; what is no scalar, such as a list, stays text, so that no alias is ever expanded."""
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise InputError(f"config file {str(path)!r} holds no keys: write one 'key: value' a line")
        return [(_scalar(loader, text, key), _scalar(loader, text, value)) for key, value in root.value]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"config file {str(path)!r} is no YAML{where}: write one 'key: value' a line") from error
    finally:
        if loader is not None:
            loader.dispose()


class _Loader(yaml.SafeLoader):
    """Gives up early on what is nested, on which PyYAML takes a time that grows with the square of the depth."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, and those in it."""
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(problem="it is nested too deeply", problem_mark=mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _scalar(loader: yaml.SafeLoader, text: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        # A date such as 2020-99-99, a number of 5000 digits and an unknown tag are no values of any type.
        with contextlib.suppress(ValueError, LookupError, yaml.YAMLError):
            return loader.construct_object(node)
    return _Written(text[node.start_mark.index : node.end_mark.index].strip())


class _Written(str):
    """What is no value of any type, as it is written; `quoted` shows it without quotes."""

    def __repr__(self) -> str:
        return " ".join(self.split())


def read_stored(path: Path, defaults: Stored) -> Stored:
    """The config of a run folder.

    Args:
        path: the run folder.
        defaults: where the fields come from that an older config.yaml does not name.

    Raises:
        InputError: the folder holds no run, or its config.yaml is broken.
    """
    config = read_unchecked(path, defaults)
    config.validate()
    return config


def read_unchecked(path: Path, defaults: Stored) -> Stored:
    """The same without `validate`, for those who only look at it: nothing is imported to judge it.

    Args:
        path: the run folder.
        defaults: where the fields come from that an older config.yaml does not name.

    Raises:
        InputError: the folder holds no run, or its config.yaml is broken.
    """
    try:
        if not (path / "config.yaml").is_file():
            found = "holds no config.yaml" if path.is_dir() else "is no folder" if path.exists() else "does not exist"
            raise InputError(f"run folder {str(path)!r} {found}: give the folder of a run")
    except OSError as error:
        raise InputError(f"run folder {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    check_format(path)
    return read_config(path / "config.yaml", dataclasses.replace(defaults, run_dir=path))  # type: ignore[type-var]


def write_config(path: Path, config: Any) -> None:
    """Write the fields to a file, which appears whole or not at all.

    Args:
        path: the file.
        config: a dataclass with a field `run_dir`, which is not written.
    """
    with replacing(path) as file:
        file.write(to_yaml(config))


def to_yaml(config: Any) -> str:
    """Every field but `run_dir`, which is where the file lies, so that the file also starts a fresh repeat."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    del values["run_dir"]
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def _convert(path: str | Path, key: str, value: Any, kind: Any) -> Any:
    kinds = typing.get_args(kind) or (kind,)
    if value is None and types.NoneType in kinds:
        return None
    if isinstance(value, str) and not isinstance(value, _Written) and Path in kinds:
        return Path(value)
    if isinstance(value, int) and not isinstance(value, bool) and float in kinds and abs(value) < 2**53:
        return float(value)
    # True is an int to Python, and 'seed: yes' a mistake to everyone else.
    wrong = isinstance(value, _Written) or (isinstance(value, bool) and bool not in kinds)
    if isinstance(value, tuple(kinds)) and not wrong:
        return value
    expected = " or ".join(_WORDS.get(each, "null") for each in kinds)
    raise InputError(f"config file {str(path)!r} has {key}: {quoted(value)}, which should be {expected}")
