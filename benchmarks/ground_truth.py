"""Trains random networks of a space for real, and keeps their accuracies as a table.

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
from parts import truths
from parts.command import start
from parts.setting import TrainingSetting
from parts.tables import write

from rwejax.correlating.statistics import spearman
from rwejax.errors import InputError
from rwejax.evolve import sample_distinct


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Train random networks of a space, and keep their accuracies."""

    networks: int = 60
    """Networks, drawn at random, none twice."""
    output: Path | None = None
    """CSV file for the table, by default runs/truth/SPACE.csv, and beside it NAME.0.jsonl and so on for trainings."""

    @property
    def table(self) -> Path:
        """Where the table lies."""
        return self.output or Path("runs/truth") / f"{self.space}.csv"


def work(config: Config) -> None:
    """Train what is missing, write, print.

    Raises:
        InputError: nothing can be trained.
    """
    if min(config.networks, config.trainings, config.epochs, config.batch) < 1:
        raise InputError("networks, trainings, epochs and batch are counts: give 1 or more of each")
    dataset, space = config.load(config.space, config.sizes)
    genomes = np.asarray(sample_distinct(jax.random.key(config.seed), space, config.networks))
    texts = [space.to_string(genome) for genome in space.canonical(genomes)]
    try:
        truths.train_missing(config, space, dataset, texts, config.table)
    finally:
        report(config, texts)  # what is there is worth a table


def report(config: Config, texts: list[str]) -> None:
    """Write the table, and print how well trainings agree."""
    trained = truths.accuracies(config, config.table)
    found = {text: trained[text] for text in texts if text in trained}
    if not found:
        print("no training has ended yet, so that there is no table")
        return
    rows = [
        {"architecture": text, "accuracy": f"{row.mean():.4f}", "trainings": str(len(row))}
        for text, row in found.items()
    ]
    write(config.table, rows)
    means = [row.mean() for row in found.values()]
    seconds = truths.seconds(config, config.table)
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
