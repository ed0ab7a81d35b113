"""Rank correlation of every estimator with tables of trained networks, and with the scores that others published.

Each pair of a table and an estimator is one `rwejax.correlate`, kept in a folder of parts: what is there is not
measured again, so that a sitting may end at any time and go on later. The table of all parts is written anew after
every pair. The seconds are the processor's, which other programs hardly disturb; `taskset -c 0` in front of the command
makes them those of one core.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from parts.command import start
from parts.tables import TABLES, TableSetting, correlation, read, split, write

from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.loop import correlate
from rwejax.correlating.result import CorrelateObserver
from rwejax.evaluate import estimators
from rwejax.runtime.devices import cores

PUBLISHED = {
    "nwot": "nwot",
    "synflow": "synflow",
    "snip": "snip",
    "grad_norm": "grad_norm",
    "fisher": "fisher",
    "grasp": "grasp",
    "jacob_cov": "jacov",
}
"""Estimators whose scores NAS-Bench-Suite-Zero published, and their columns in nasbench201.csv. Their batch was of 32
images: the scores of nwot are the log-determinants of kernels of so many."""


@dataclass(frozen=True, kw_only=True)
class Config(TableSetting):
    """Correlate estimators with tables, or with `published`, the scores that others published on NAS-Bench-201."""

    seeds: int = 1
    """Initialisations that every score is averaged over."""
    seed: int = 0
    """Draws the networks, the images and the weights."""
    parts: Path = Path("runs/rank_correlation")
    """Folder of each pair's table, scores and figure; what is there is not measured again."""
    output: Path = Path("runs/rank_correlation.csv")
    """CSV file of all pairs."""

    def pair(self, table: str, estimator: str) -> CorrelateConfig | None:
        """What is measured for a pair; None where nobody published the estimator's scores."""
        options: dict[str, Any] = {"estimators": estimator, "seeds": self.seeds, "seed": self.seed}
        name = f"{table}-{estimator}-{self.dataset}-{self.image_size}-{self.seeds}-{self.seed}.csv"
        options["output"] = self.parts / name
        if table != "published":
            return correlation(table, self.truth, self, **options)
        if estimator not in PUBLISHED:
            return None
        options |= {"column": PUBLISHED[estimator], "sample": 100, "image_size": 32, "images": 32, "cells": 5}
        return correlation("nasbench201", self.truth, self, **options)


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


def work(config: Config) -> None:
    """Measure what is missing, write, print.

    Raises:
        InputError: something cannot be used.
    """
    for table in split(config.tables, "published"):
        for name in config.estimators.split(","):
            pair = config.pair(table, name)
            if pair is None or pair.output is None or pair.output.exists():
                continue
            row = measure(table, pair)
            spearman, seconds = float(row["spearman"] or "nan"), float(row["cpu_seconds"])
            print(f"{table} {name}: {spearman:.2f}, {seconds:.2g} s", flush=True)
            collect(config)
    show(collect(config))


def measure(table: str, pair: CorrelateConfig) -> dict[str, str]:
    """Correlate one pair, and note with it what it was measured on."""
    processor = ProcessorTime()
    output = correlate(pair, [processor]).output
    jax.clear_caches()
    [row] = read(output)
    measured = {"cpu_seconds": str(processor.seconds), "cores": str(cores()), "jax": jax.__version__}
    row = {"table": table, **row, "truth": pair.truth.name, **measured}
    write(output, [row])
    return row


def collect(config: Config) -> list[dict[str, str]]:
    """All parts as one table, which is also written."""
    paths = sorted(path for path in config.parts.glob("*.csv") if not path.name.endswith(".scores.csv"))
    order = [*TABLES, "published"]
    rows = [row for path in paths for row in read(path) if "table" in row]
    rows.sort(key=lambda row: (order.index(row["table"]), estimators.names().index(row["estimator"]), row["seed"]))
    if rows:
        write(config.output, rows)
    return rows


def show(rows: list[dict[str, str]]) -> None:
    """Print a table and an estimator a line: Spearman with its interval, and the processor's seconds a network."""
    for row in rows:
        spearman, low, high = (float(row[key] or "nan") for key in ("spearman", "low", "high"))
        text = f"{spearman:.2f} ({low:.2f} {high:.2f}) {float(row['cpu_seconds']):.2g} s"
        print(f"{row['table']:<22}{row['estimator']:<16}{text}")


if __name__ == "__main__":
    sys.exit(start(Config, work))
