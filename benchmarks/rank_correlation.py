"""Rank correlation of every estimator with tables of trained networks, and with the scores that others published.

Each pair of a table and an estimator is one `rwejax.correlate`, kept in a folder of parts: what is there is not
measured again, so that a sitting may end at any time and go on later. The table of all parts is written anew after
every pair. The seconds are the processor's, which other programs hardly disturb; `taskset -c 0` in front of the command
makes them those of one core.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro
from parts.report import count_cores
from parts.tables import TABLES, path, read, split, write
from rich.console import Console
from rich.table import Table

from rwejax import data
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.loop import correlate
from rwejax.correlating.result import CorrelateObserver
from rwejax.errors import InputError
from rwejax.evaluate import estimators

PUBLISHED = {
    "nwot": "nwot",
    "synflow": "synflow",
    "snip": "snip",
    "grad_norm": "grad_norm",
    "fisher": "fisher",
    "grasp": "grasp",
    "jacob_cov": "jacov",
}
"""Estimators whose scores NAS-Bench-Suite-Zero published, and their columns in nasbench201.csv."""

CHOICE = {"nasbench201": 160, "nasbench_macro": 120, "darts_trained": 120, "nasbench301_surrogate": 120}
"""Networks of each table on which `fit_path` was chosen; it was confirmed on others, and on the tables of our own."""

PUBLISHED_SAMPLE = 100
PUBLISHED_IMAGES = 32
"""Their batch: the scores of nwot are the log-determinants of kernels of so many images."""


@dataclass(frozen=True)
class Config:
    """Correlate estimators with tables of trained networks."""

    truth: Path
    """Folder of nasbench201.csv, nasbench_macro.csv, darts_trained.csv and nasbench301_surrogate.csv."""
    tables: str = ",".join(TABLES)
    """Names of tables, or `published` for the scores that others published on NAS-Bench-201."""
    estimators: str = ",".join(estimators.names())
    """Names of estimators."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels; `published` takes the 32 of its setting."""
    part: Literal["all", "choice", "confirmation"] = "all"
    """The networks on which `fit_path` was chosen, or others: those that are left, of the tables of our own all."""
    permuted: bool = False
    """Give the images each other's labels, as a control: what is left of a correlation owes nothing to the labels."""
    seeds: int = 1
    """Initialisations that every score is averaged over."""
    seed: int = 0
    """Draws the networks, the images and the weights."""
    parts: Path = Path("runs/rank_correlation")
    """Folder for each pair's table, scores and figure."""
    output: Path = Path("runs/rank_correlation.csv")
    """CSV file of all pairs."""

    def pair(self, table: str, estimator: str) -> CorrelateConfig | None:
        """What is measured for a pair; None where nobody published the estimator's scores."""
        if table == "published":
            if estimator not in PUBLISHED:
                return None
            truth = TABLES["nasbench201"]._replace(column=PUBLISHED[estimator], sample=PUBLISHED_SAMPLE)
            file, image_size, images = path("nasbench201", self.truth), 32, PUBLISHED_IMAGES
            sizes: dict[str, Any] = {"cells": 5}
        else:
            truth = TABLES[table]
            file, image_size, images, sizes = self.rows_of(table), self.image_size, None, truth.proxy
        return CorrelateConfig(
            space=truth.space,
            truth=file,
            column=truth.column,
            estimators=estimator,
            sample=truth.sample,
            seeds=self.seeds,
            seed=self.seed,
            dataset=self.dataset,
            data_dir=self.data_dir,
            image_size=image_size,
            images=images,
            **sizes,
            output=self.parts / f"{table}-{estimator}-{self.dataset}-{image_size}-{self.seeds}-{self.seed}.csv",
        )

    def rows_of(self, table: str) -> Path:
        """The file of a table's networks, made anew where only a part of them is wanted."""
        whole = path(table, self.truth)
        if self.part == "all":
            return whole
        rows = [row for row in read(whole) if row[TABLES[table].column]]
        order, chosen = np.random.default_rng(1).permutation(len(rows)), CHOICE.get(table, 0)
        rows = [rows[k] for k in (order[:chosen] if self.part == "choice" else order[chosen:])]
        if not rows:
            raise InputError(f"table {table!r} has no network for part {self.part!r}: leave it out of --tables")
        part = self.parts / self.part / f"{table}.csv"
        write(part, rows)
        return part


class ProcessorTime(CorrelateObserver):
    """Notes how much of the processor's time each slice of networks took."""

    def __init__(self) -> None:
        self._slices: list[tuple[int, float]] = []

    def on_slice(self, estimator: str, networks: int) -> None:
        """Note the time."""
        self._slices.append((networks, time.process_time()))

    @property
    def seconds(self) -> float:
        """Of a network, without the first slice, which compiles."""
        (first, begin), (last, end) = self._slices[1], self._slices[-1]
        return (end - begin) / (last - first)


def main() -> int:
    """Measure what is missing, write, print. Returns the exit code: 2 where something cannot be used."""
    config = tyro.cli(Config, description=__doc__)
    console = Console()
    try:
        for table in split(config.tables, "published"):
            for name in config.estimators.split(","):
                pair = config.pair(table, name)
                if pair is None or pair.output is None or pair.output.exists():
                    continue
                with permuted_labels() if config.permuted else contextlib.nullcontext():
                    row = measure(table, pair)
                console.print(
                    f"{table} {name}: {float(row['spearman'] or 'nan'):.2f}, {float(row['cpu_seconds']):.2g} s"
                )
                collect(config)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    show(console, collect(config))
    return 0


def measure(table: str, pair: CorrelateConfig) -> dict[str, str]:
    """Correlate one pair, and note with it what it was measured on."""
    processor = ProcessorTime()
    output = correlate(pair, [processor]).output
    jax.clear_caches()
    [row] = read(output)
    measured = {"cpu_seconds": str(processor.seconds), "cores": str(count_cores()), "jax": jax.__version__}
    row = {"table": table, **row, "truth": pair.truth.name, **measured}
    write(output, [row])
    return row


@contextlib.contextmanager
def permuted_labels() -> Iterator[None]:
    """Datasets whose images have each other's labels."""

    def load(name: str, **options: Any) -> data.Dataset:
        dataset = original(name, **options)
        order = np.random.default_rng(0).permutation(len(dataset.train_labels))
        return replace(dataset, train_labels=dataset.train_labels[order])

    original, data.load = data.load, load
    try:
        yield
    finally:
        data.load = original


def collect(config: Config) -> list[dict[str, str]]:
    """All parts as one table, which is also written."""
    paths = sorted(path for path in config.parts.glob("*.csv") if not path.name.endswith(".scores.csv"))
    order = [*TABLES, "published"]
    rows = [row for path in paths for row in read(path) if "table" in row]
    rows.sort(key=lambda row: (order.index(row["table"]), estimators.names().index(row["estimator"]), row["seed"]))
    if rows:
        write(config.output, rows)
    return rows


def show(console: Console, rows: list[dict[str, str]]) -> None:
    """Print an estimator a line and a table a column: Spearman's interval, and the processor's seconds a network."""
    tables = list(dict.fromkeys(row["table"] for row in rows))
    grid = Table(
        "estimator", *tables, box=None, title="Spearman (95 %), processor seconds a network", title_justify="left"
    )
    for name in dict.fromkeys(row["estimator"] for row in rows):
        cells = dict.fromkeys(tables, "")
        for row in rows:
            if row["estimator"] == name:
                spearman, low, high = (float(row[key] or "nan") for key in ("spearman", "low", "high"))
                text = f"{spearman:.2f} ({low:.2f} {high:.2f}) {float(row['cpu_seconds']):.2g}"
                cells[row["table"]] = "\n".join(filter(None, (cells[row["table"]], text)))
        grid.add_row(name, *cells.values())
    console.print(grid)


if __name__ == "__main__":
    sys.exit(main())
