"""Trains random networks of a space for real, in PyTorch, and keeps their accuracies as a table.

For the spaces of which nobody has published one. Every training is on disk when it ends, so that a sitting may end at
any time; the same command goes on. The table has the networks whose trainings are all there, and Spearman's correlation
of one training with another says how far it can be trusted.
"""

import functools
import itertools
import multiprocessing
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import tyro
from parts.command import require
from parts.report import count_cores
from parts.setting import Setting
from parts.tables import OWN, read, write
from rich.console import Console

from rwejax import spaces
from rwejax.config import SIZES
from rwejax.errors import InputError
from rwejax.evaluate.correlation import spearman
from rwejax.evolve import sample_distinct


@dataclass(frozen=True)
class Config(Setting):
    """Train random networks of a space, and keep their accuracies."""

    space: Literal["macro", "micro", "darts", "nasbench201", "nasbench_macro"] = "macro"
    """Search space."""
    nodes: int | None = None
    """macro: nodes of a phase; by default a search's, 4."""
    layers: int | None = None
    """micro, darts: cells of a network; by default 5."""
    cells: int | None = None
    """nasbench201: cells of a stage; by default 1."""
    channels: int = 8
    """Channels of the first maps."""
    networks: int = 60
    """Networks, drawn at random, none twice."""
    trainings: int = 2
    """Trainings of each, from other weights and in another order of the images."""
    epochs: int = 12
    """Epochs of a training."""
    train_images: int = 5000
    """Images that the networks are trained on."""
    validation_images: int = 2000
    """Images that their accuracy is taken on, which no training sees."""
    batch: int = 64
    """Images of a step."""
    learning_rate: float = 0.05
    """At the start of a cosine that ends at 0."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""
    seed: int = 0
    """Draws the networks, the images, the weights and the order."""
    output: Path | None = None
    """CSV file for the table, and beside it NAME.trainings.csv; by default benchmarks/truth/SPACE.csv."""

    @property
    def table(self) -> Path:
        """Where the table lies."""
        return self.output or OWN / f"{self.space}.csv"

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        given = {name: getattr(self, name) for name in ("nodes", "layers", "cells")}
        return SIZES[self.space] | {name: value for name, value in given.items() if value} | {"channels": self.channels}


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
        train_missing(config, texts, console)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        report(config, console)
        console.print("interrupted; the same command goes on")
        return 130
    report(config, console)
    return 0


def train_missing(config: Config, texts: list[str], console: Console) -> None:
    """Train the networks that are not on disk yet, one on each core at a time."""
    from parts.training import train  # only here, because it needs PyTorch

    rows = read(trainings_path(config))
    finished = {(row["architecture"], int(row["training"])) for row in rows}
    wanted = [(text, number) for number in range(config.trainings) for text in texts]
    missing = [each for each in wanted if each not in finished]
    console.print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are there")
    # The command itself answers Ctrl-C, and ends the others.
    with multiprocessing.get_context("spawn").Pool(
        count_cores(), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        trainings = pool.imap_unordered(functools.partial(train, config), missing)
        for done, (text, number, accuracy, seconds) in enumerate(trainings, 1):
            row = {"architecture": text, "training": number, "accuracy": accuracy, "seconds": seconds}
            rows.append({name: str(value) for name, value in row.items()})
            write(trainings_path(config), rows)
            console.print(f"{done} of {len(missing)}: {accuracy:.1f} % in {seconds:.0f} s", highlight=False)


def report(config: Config, console: Console) -> None:
    """Write the table of networks whose trainings are all there, and print how well trainings agree."""
    found: dict[str, dict[int, float]] = {}
    seconds = []
    for row in read(trainings_path(config)):
        found.setdefault(row["architecture"], {})[int(row["training"])] = float(row["accuracy"])
        seconds.append(float(row["seconds"]))
    numbers = range(config.trainings)
    whole = {text: [by[k] for k in numbers] for text, by in found.items() if by.keys() >= set(numbers)}
    if not whole:
        console.print("no network has all of its trainings yet, so that there is no table")
        return
    accuracies = np.array(list(whole.values()))
    rows = []
    for text, row in zip(whole, accuracies, strict=True):
        columns = {"accuracy": row.mean(), **{f"accuracy_{k}": each for k, each in enumerate(row)}}
        rows.append({"architecture": text, **{name: f"{value:.4f}" for name, value in columns.items()}})
    write(config.table, rows)
    console.print(
        f"{len(whole)} networks, accuracy {accuracies.min():.1f} to {accuracies.max():.1f} %, "
        f"{np.median(seconds):.0f} s a training on one core: {config.table}"
    )
    if config.trainings > 1 and len(whole) > 2:
        pairs = [spearman(*pair) for pair in itertools.combinations(accuracies.T, 2)]
        one = float(np.mean(pairs))
        # Spearman, Brown, British Journal of Psychology 3, 1910.
        mean = config.trainings * one / (1 + (config.trainings - 1) * one)
        console.print(
            f"Spearman of one training with another: {one:.2f} ({min(pairs):.2f} to {max(pairs):.2f}); of the mean of "
            f"{config.trainings} with that of as many others, by the formula of Spearman and Brown: {mean:.2f}"
        )


def trainings_path(config: Config) -> Path:
    """Where each training is kept."""
    return config.table.with_suffix(".trainings.csv")


if __name__ == "__main__":
    sys.exit(main())
