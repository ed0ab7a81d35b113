"""Trainings of networks for real, one on each core or some on a GPU at a time, each on disk when it ends."""

import functools
import itertools
import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from rwejax.errors import InputError
from rwejax.spaces import get_class

from .report import count_cores
from .setting import Setting
from .tables import read, write


@dataclass(frozen=True)
class TrainingSetting(Setting):
    """How networks of a space are trained."""

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
    trainings: int = 2
    """Trainings of each network, from other weights and in another order of the images."""
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
    device: Literal["cpu", "cuda"] = "cpu"
    """Where they are trained: one on each core, or on a GPU, where the small networks of this study leave most of it
    idle, `together` at once in each of `workers` processes."""
    together: int = 10
    """cuda: networks that a process trains at once."""
    workers: int = 3
    """cuda: processes."""

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        given = {name: getattr(self, name) for name in ("nodes", "layers", "cells")}
        sizes = dict(get_class(self.space).proxy_sizes)
        return sizes | {name: value for name, value in given.items() if value} | {"channels": self.channels}


def train_missing(config: TrainingSetting, path: Path, texts: Sequence[str], console: Console) -> None:
    """Train the networks that are not on disk yet.

    Args:
        config: how.
        path: CSV file of all trainings.
        texts: the architectures.
        console: where to say how it goes.

    Raises:
        InputError: they are to be trained on a GPU, and there is none.
    """
    import torch  # only here, because not everyone has it

    from .training import train

    rows = read(path)
    finished = {(row["architecture"], int(row["training"])) for row in rows}
    wanted = [(text, number) for number in range(config.trainings) for text in texts]
    missing = [each for each in wanted if each not in finished]
    console.print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are there")
    if missing and config.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{len(missing)} trainings are missing and PyTorch finds no GPU: leave out --device cuda, or ask for fewer "
            "--trainings"
        )
    workers, together = (config.workers, config.together) if config.device == "cuda" else (count_cores(), 1)
    groups = [missing[start : start + together] for start in range(0, len(missing), together)]
    # The command itself answers Ctrl-C, and ends the others.
    with multiprocessing.get_context("spawn").Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        trainings = itertools.chain.from_iterable(pool.imap_unordered(functools.partial(train, config), groups))
        for done, (text, number, accuracy, seconds) in enumerate(trainings, 1):
            row = {"architecture": text, "training": number, "accuracy": accuracy, "seconds": seconds}
            rows.append({name: str(value) for name, value in row.items()})
            write(path, rows)
            console.print(f"{done} of {len(missing)}: {accuracy:.1f} % in {seconds:.0f} s", highlight=False)


def accuracies(path: Path) -> dict[str, np.ndarray]:
    """The accuracies in % of each network, training by training, as far as they are on disk."""
    found: dict[str, dict[int, float]] = {}
    for row in read(path):
        found.setdefault(row["architecture"], {})[int(row["training"])] = float(row["accuracy"])
    return {text: np.array([by[number] for number in sorted(by)]) for text, by in found.items()}
