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
import tyro
from parts.command import require
from parts.tables import OWN, read, write
from parts.trainings import TrainingSetting, accuracies, train_missing
from rich.console import Console

from rwejax import spaces
from rwejax.correlating.statistics import spearman
from rwejax.errors import InputError
from rwejax.evolve import sample_distinct


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Train random networks of a space, and keep their accuracies."""

    networks: int = 60
    """Networks, drawn at random, none twice."""
    against: Path | None = None
    """Another table of the same networks, to say how far the two agree."""
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


def main() -> int:
    """Train what is missing, write, print. Returns the exit code: 2 where nothing can be trained."""
    config = tyro.cli(Config, description=__doc__)
    console = Console()
    try:
        counts = config.networks, config.trainings, config.epochs, config.batch
        if min(counts) < 1:
            raise InputError("networks, trainings, epochs and batch are counts: give 1 or more of each")
        require("torch", "bench")
        space = spaces.get(config.space, **config.sizes)
        genomes = np.asarray(sample_distinct(jax.random.key(config.seed), space, config.networks))
        texts = [space.to_string(genome) for genome in space.canonical(genomes)]
        try:
            train_missing(config, config.trained, texts, console)
        finally:
            report(config, console)  # what is there is worth a table
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on")
        return 130
    return 0


def report(config: Config, console: Console) -> None:
    """Write the table, and print how well trainings agree."""
    found = {text: row[: config.trainings] for text, row in accuracies(config.trained).items()}
    if not found:
        console.print("no training has ended yet, so that there is no table")
        return
    rows = [
        {"architecture": text, "accuracy": f"{row.mean():.4f}", "trainings": str(len(row))}
        for text, row in found.items()
    ]
    write(config.table, rows)
    means = [row.mean() for row in found.values()]
    seconds = np.median([float(row["seconds"]) for row in read(config.trained)])
    console.print(
        f"{len(found)} networks, accuracy {min(means):.1f} to {max(means):.1f} %, std {np.std(means):.2f}, "
        f"{seconds:.1f} s a training: {config.table}"
    )
    if config.against is not None:
        other = {row["architecture"]: float(row["accuracy"]) for row in read(config.against)}
        pairs = np.array([(row.mean(), other[text]) for text, row in found.items() if text in other])
        if len(pairs) > 2:
            console.print(f"Spearman with {config.against}, {len(pairs)} networks: {spearman(*pairs.T):.2f}")
    whole = np.array([row for row in found.values() if len(row) == config.trainings])
    if config.trainings > 1 and len(whole) > 2:
        agreements = [spearman(*pair) for pair in itertools.combinations(whole.T, 2)]
        one = float(np.mean(agreements))
        # Spearman, Brown, British Journal of Psychology 3, 1910.
        mean = config.trainings * one / (1 + (config.trainings - 1) * one)
        console.print(
            f"Spearman of one training with another, {len(whole)} networks: {one:.2f} ({min(agreements):.2f} to "
            f"{max(agreements):.2f}); of the mean of {config.trainings} with that of as many others, by the formula of "
            f"Spearman and Brown: {mean:.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
