"""What all configs have in common. A config is a flat, frozen dataclass, read from YAML or the command line.

Nothing heavy is imported here, so that `--help` and a mistyped key are answered at once.
"""

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from rwejax import plugins

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


class RunConfig(ABC):
    """What the configs of run folders have in common: dataclasses that have these fields, and others."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields that older files have by another name."""

    space: str
    dataset: str
    data_dir: Path | None
    run_dir: Path | None

    @abstractmethod
    def validate(self) -> None:
        """Refuse what cannot be done."""

    @property
    def space_name(self) -> str:
        """The space as files and screens show it: NAME of a FILE.py:NAME."""
        return plugins.name_of(self.space)

    @property
    def code_flags(self) -> tuple[str, ...]:
        """The flags that a command which resumes the run needs to be given again, since they name code."""
        return self.space_flags + self._flags("estimator")

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
        dataset = self.dataset
        if dataset.startswith("folder:") and dataset != "folder:":
            dataset = f"folder:{_absolute(dataset.removeprefix('folder:'))}"
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
    if value is None or field not in ("space", "estimator"):
        return value
    return [plugins.identity(each) for each in value.split(",")]
