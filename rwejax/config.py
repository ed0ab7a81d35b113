"""What all configs have in common. A config is a flat, frozen dataclass, read from YAML or the command line.

Nothing heavy is imported here, so that `--help` and a mistyped key are answered at once.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from rwejax.errors import InputError

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")

SIZES = {
    "macro": {"nodes": 4, "channels": 16},
    "micro": {"layers": 5, "channels": 8},
    "darts": {"layers": 5, "channels": 8},
    "nasbench201": {"cells": 1, "channels": 16},
    "nasbench_macro": {"channels": 16},
}
"""The sizes of a space's networks where no other is named: small, since a proxy only has to rank."""

DIGITS_SIZES = {"macro": {"channels": 8}}
"""What is smaller on the digits, which wider networks tell apart so well that the smallest of them win."""

ESTIMATORS = {
    "macro": "fit_path",
    "micro": "fit_path",
    "darts": "rwf",
    "nasbench201": "fit_path",
    "nasbench_macro": "fit_path",
}
"""The estimator whose choice in a space is the best network once it is trained, see docs/estimator.md."""

LARGEST_SEED = 2**31 - 1


class RunConfig(ABC):
    """What the configs of run folders have in common: dataclasses that have these fields, and others."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields that older files have by another name."""

    dataset: str
    data_dir: Path | None
    run_dir: Path | None

    @abstractmethod
    def validate(self) -> None:
        """Refuse what cannot be done."""

    def resolved(self) -> Self:
        """The same with absolute paths, so that it can be resumed from any working directory."""
        data_dir = None if self.data_dir is None else Path(self.data_dir).expanduser().absolute()
        dataset = self.dataset
        if dataset.startswith("folder:") and dataset != "folder:":
            dataset = f"folder:{Path(dataset.removeprefix('folder:')).expanduser().absolute()}"
        return dataclasses.replace(self, data_dir=data_dir, dataset=dataset)  # type: ignore[type-var]

    def differences(self, other: Self) -> list[str]:
        """Names of the fields in which two configs differ, wherever their results may lie."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "run_dir"]  # type: ignore[arg-type]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def sizes_of(config: Any) -> dict[str, int]:
    """The sizes that a config gives its space, the others as `SIZES` and `DIGITS_SIZES` have them."""
    names = ("nodes", "layers", "cells", "channels")
    given = {name: value for name in names if (value := getattr(config, name)) is not None}
    digits = DIGITS_SIZES if config.dataset == "digits" else {}
    return SIZES.get(config.space, {}) | digits.get(config.space, {}) | given


def check_integers(config: Any) -> None:
    """Refuse counts below 1 and seeds that JAX does not take.

    Raises:
        InputError: a field is out of its range.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and field.name != "seed" and value < 1:
            raise InputError(f"{field.name} is {value}: give 1 or more")
    if not 0 <= config.seed <= LARGEST_SEED:
        raise InputError(f"seed is {config.seed}: give a seed from 0 to {LARGEST_SEED}")
