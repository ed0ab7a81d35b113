"""Trains networks with `rwejax.train_population`, from several seeds; every training is on disk when it ends."""

import json
from pathlib import Path

import numpy as np

from rwejax.data import Dataset
from rwejax.evaluate.population import Recipe, describe_setting, train_population
from rwejax.spaces import Space
from rwejax.storage.trainings import TrainedNetwork, read_setting, read_trainings

from .setting import TrainingSetting


def recipe(config: TrainingSetting, number: int) -> Recipe:
    """How networks are trained, no gradient clipped and images mirrored and shifted.

    Args:
        config: the setting.
        number: of the training, from 0.
    """
    return Recipe(
        epochs=config.epochs,
        batch_size=config.batch,
        learning_rate=config.learning_rate,
        weight_decay=5e-4,
        grad_clip=0.0,
        flip=True,
        seed=config.seed + number,
    )


def file_of(table: Path, number: int) -> Path:
    """Where the trainings of a number are kept: a line each, beside the table that is made of them."""
    return table.with_suffix(f".{number}.jsonl")


def train_missing(config: TrainingSetting, space: Space, dataset: Dataset, texts: list[str], table: Path) -> None:
    """Train the networks that are not on disk yet.

    Args:
        config: how.
        space: of the networks.
        dataset: the images.
        texts: the architectures.
        table: where the table is to lie.

    Raises:
        InputError: something cannot be used, or the files were written in another setting.
    """
    genomes = np.stack([space.from_string(text) for text in texts])
    table.parent.mkdir(parents=True, exist_ok=True)
    for number in range(config.trainings):
        path = file_of(table, number)
        print(f"training {number + 1} of {config.trainings} of {len(texts)} networks: {path}", flush=True)
        train_population(space, genomes, dataset, recipe(config, number), path=path, on_trained=tell)


def tell(network: TrainedNetwork, finished: int, networks: int) -> None:
    """Print what has come of a network."""
    came = f"{network.validation_error:.2f} % in {network.seconds:.1f} s"
    print(f"{finished} of {networks}: {came}, {network.architecture}", flush=True)


def accuracies(config: TrainingSetting, table: Path) -> dict[str, np.ndarray]:
    """The accuracies in % of each network, training by training, as far as they are on disk.

    A network that has diverged, or through which no path leads, tells nothing right.
    """
    found: dict[str, list[float]] = {}
    for number in range(config.trainings):
        for each in read_trainings(file_of(table, number)):
            found.setdefault(each.architecture, []).append(100 - np.nan_to_num(each.validation_error, nan=100))
    return {text: np.array(values) for text, values in found.items()}


def seconds(config: TrainingSetting, table: Path) -> float:
    """The median of a training's seconds."""
    files = (file_of(table, number) for number in range(config.trainings))
    return float(np.median([each.seconds for file in files for each in read_trainings(file)]))


def is_of(config: TrainingSetting, space: Space, dataset: Dataset, table: Path) -> bool:
    """Whether the networks of a table were trained in this setting.

    Args:
        config: the setting.
        space: of the networks.
        dataset: the images.
        table: where it lies.
    """
    asked = describe_setting(space, dataset, recipe(config, 0).settled(dataset))
    return read_setting(file_of(table, 0)) == json.loads(json.dumps(asked))
