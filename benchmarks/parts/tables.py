"""Tables of trained networks that estimators are compared with, and CSV files."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rwejax.correlating.config import CorrelateConfig
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.storage.atomic import replacing


class Truth(NamedTuple):
    """A table of trained networks.

    Attributes:
        space: of the networks.
        column: their accuracy.
        sample: networks that are drawn to rank estimators.
        sizes: of the networks in the papers' protocol: as they were trained, and for DARTS those of its own search.
        own: whether `ground_truth.py` has made it; such networks are small enough to be ranked as they were trained.
    """

    space: str
    column: str
    sample: int
    sizes: dict[str, int]
    own: bool = False

    @property
    def proxy(self) -> dict[str, int]:
        """Sizes of the networks in which estimators look for the order; empty where they are a search's."""
        return self.sizes if self.own else {}


OWN = Path(__file__).parents[1] / "truth"
TABLES = {
    "nasbench201": Truth("nasbench201", "cifar10_accuracy", 200, {"cells": 5, "channels": 16}),
    "nasbench_macro": Truth("nasbench_macro", "cifar10_accuracy", 150, {"channels": 32}),
    "darts_trained": Truth("darts", "cifar10_accuracy_50_epochs", 100, {"layers": 8, "channels": 16}),
    "nasbench301_surrogate": Truth("darts", "nb301_accuracy", 150, {"layers": 8, "channels": 16}),
    "macro": Truth("macro", "accuracy", 60, {"nodes": 4, "channels": 16}, own=True),
    "micro": Truth("micro", "accuracy", 60, {"layers": 5, "channels": 8}, own=True),
    "macro_6": Truth("macro", "accuracy", 60, {"nodes": 6, "channels": 16}, own=True),
    "macro_6_brief": Truth("macro", "accuracy", 60, {"nodes": 6, "channels": 8}, own=True),
}


@dataclass(frozen=True, kw_only=True)
class TableSetting:
    """Tables, estimators, and the images that these look at."""

    truth: Path
    """Folder of nasbench201.csv, nasbench_macro.csv, darts_trained.csv and nasbench301_surrogate.csv."""
    tables: str = ",".join(TABLES)
    """Names of tables with commas between them."""
    estimators: str = ",".join(estimators.names())
    """Names of estimators with commas between them."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels."""
    parts: Path
    """Folder of what is measured, which is not measured again."""
    output: Path
    """CSV file for the results."""


def path(name: str, folder: Path) -> Path:
    """The file of a table: in the folder of published ones, or beside the benchmarks."""
    return (OWN if TABLES[name].own else folder) / f"{name}.csv"


def correlation(name: str, folder: Path, config: Any, **options: Any) -> CorrelateConfig:
    """The rank correlation of estimators with a table, which `rwejax.correlate` measures.

    Args:
        name: of the table.
        folder: of the published tables.
        config: has the fields dataset, data_dir and image_size.
        options: others of `CorrelateConfig`.
    """
    truth = TABLES[name]
    given: dict[str, Any] = {
        "space": truth.space,
        "truth": path(name, folder),
        "column": truth.column,
        "sample": truth.sample,
        "dataset": config.dataset,
        "data_dir": config.data_dir,
        "image_size": config.image_size,
        **truth.proxy,
    }
    return CorrelateConfig(**given | options)


def split(names: str, *others: str) -> list[str]:
    """The tables of a list with commas; others are names that stand for more than a table.

    Raises:
        InputError: one is unknown.
    """
    known = (*TABLES, *others)
    if unknown := [name for name in names.split(",") if name not in known]:
        raise InputError(f"table {unknown[0]!r} is unknown: choose from {', '.join(known)}")
    return names.split(",")


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, none where it is missing."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a CSV file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
