"""Trains random networks of a space for real, in PyTorch, and keeps their accuracies as a table.

For the spaces of which nobody has published one. Every training is on disk when it ends, so that a sitting may end at
any time; the same command goes on. The table has the mean of each network's trainings, and Spearman's correlation of
one training with another, over the networks that have all, says how far it can be trusted.
"""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from parts.command import require, start
from parts.setting import TrainingSetting
from parts.tables import OWN, read, write

from rwejax import spaces
from rwejax.correlating.statistics import spearman
from rwejax.errors import InputError
from rwejax.evolve import sample_distinct


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Train random networks of a space, and keep their accuracies."""

    networks: int = 60
    """Networks, drawn at random, none twice."""
    output: Path | None = None
    """CSV file for the table, and beside it NAME.trainings.csv; by default benchmarks/truth/SPACE.csv."""

    @property
    def table(self) -> Path:
        """Where the table lies."""
        return self.output or OWN / f"{self.space}.csv"

    @property
    def trained(self) -> Path:
        """Where each training is kept."""
        return self.table.with_suffix(".trainings.csv")


def work(config: Config) -> None:
    """Train what is missing, write, print.

    Raises:
        InputError: nothing can be trained.
    """
    if min(config.networks, config.trainings, config.epochs, config.batch) < 1:
        raise InputError("networks, trainings, epochs and batch are counts: give 1 or more of each")
    require("torch", "bench")
    from parts.trainer import accuracies, train_missing

    space = spaces.get(config.space, **config.sizes)
    genomes = np.asarray(sample_distinct(jax.random.key(config.seed), space, config.networks))
    texts = [space.to_string(genome) for genome in space.canonical(genomes)]
    try:
        train_missing(config, config.trained, texts)
    finally:
        report(config, accuracies(config.trained))  # what is there is worth a table


def report(config: Config, trained: dict[str, np.ndarray]) -> None:
    """Write the table, and print how well trainings agree."""
    found = {text: row[: config.trainings] for text, row in trained.items()}
    if not found:
        print("no training has ended yet, so that there is no table")
        return
    rows = [
        {"architecture": text, "accuracy": f"{row.mean():.4f}", "trainings": str(len(row))}
        for text, row in found.items()
    ]
    write(config.table, rows)
    means = [row.mean() for row in found.values()]
    seconds = np.median([float(row["seconds"]) for row in read(config.trained)])
    print(
        f"{len(found)} networks, accuracy {min(means):.1f} to {max(means):.1f} %, std {np.std(means):.2f}, "
        f"{seconds:.1f} s a training: {config.table}"
    )
    whole = np.array([row for row in found.values() if len(row) == config.trainings])
    if config.trainings > 1 and len(whole) > 2:
        agreements = [spearman(*pair) for pair in itertools.combinations(whole.T, 2)]
        one = float(np.mean(agreements))
        # Spearman, Brown, British Journal of Psychology 3, 1910.
        mean = config.trainings * one / (1 + (config.trainings - 1) * one)
        print(
            f"Spearman of one training with another, {len(whole)} networks: {one:.2f} ({min(agreements):.2f} to "
            f"{max(agreements):.2f}); of the mean of {config.trainings} with that of as many others, by the formula of "
            f"Spearman and Brown: {mean:.2f}"
        )


if __name__ == "__main__":
    sys.exit(start(Config, work))
