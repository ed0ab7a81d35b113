"""How well population training and `rwejax.train` agree on the accuracies of random networks, and each with itself.

Both train the same networks on the same images by the same constants. A seed draws the weights, the order of the images
and how they are changed; how well two seeds of `rwejax.train` agree says how far agreement can go. Every training is on
disk when it ends, so that a sitting may end at any time; the same command goes on.
"""

import itertools
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from parts.command import Result, main
from parts.report import header
from parts.setting import TrainingSetting, title
from parts.trained_singly import load_images, register_images, train_singly
from parts.truths import tell

from rwejax.correlating.statistics import interval, spearman
from rwejax.errors import InputError
from rwejax.evaluate.population import Recipe, train_population
from rwejax.evolve import sample_distinct
from rwejax.runtime.devices import keep_compilations
from rwejax.storage.trainings import TrainedNetwork

FEWEST = 3  # networks to rank


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Train random networks in both ways."""

    networks: int = 20
    """Networks, drawn at random, none twice."""
    trainings: int = 2
    """Seeds."""
    epochs: int = 8
    """Epochs of a training."""
    train_images: int = 2000
    """Images that the networks are trained on."""
    parts: Path = Path("runs/population_agreement")
    """Folder of the trainings."""


def measure(config: Config) -> Result:
    """Train what is missing, and compare.

    Raises:
        InputError: the setting cannot be used.
    """
    if config.networks < FEWEST or config.trainings < 2:
        raise InputError(f"networks is {config.networks} and trainings {config.trainings}: give {FEWEST} and 2 or more")
    keep_compilations()  # what one seed compiles for a network, the next one need not
    trained = train(config)
    errors = {name: np.array([each.validation_error for each in found]) for name, found in trained.items()}
    pairs = {f"{one}, {other}": compare(errors[one], errors[other]) for one, other in itertools.combinations(errors, 2)}
    return {
        **header(config.recorded),
        "networks": title(config.recorded, load_images(0).image_shape),
        "validation_accuracy": {
            name: {"mean": float(100 - values.mean()), "std": float(values.std())} for name, values in errors.items()
        },
        "seconds_of_a_network": {
            name: statistics.median(each.seconds for each in found) for name, found in trained.items()
        },
        "pairs": pairs,
    }


def train(config: Config) -> dict[str, list[TrainedNetwork]]:
    """Every network by each way and seed, such as "train 0"."""
    dataset, space = config.load(config.space, config.sizes)
    register_images(dataset)
    genomes = np.asarray(sample_distinct(jax.random.key(config.seed), space, config.networks))
    config.parts.mkdir(parents=True, exist_ok=True)
    found = {}
    for seed in range(config.trainings):
        images = load_images(seed)
        recipe = Recipe(config.epochs, config.batch, config.learning_rate, seed=seed)
        paths = {way: config.parts / f"{config.space}-{way}-{seed}.jsonl" for way in ("population", "train")}
        options = {"path": paths["population"], "on_trained": tell}
        found[f"population {seed}"] = train_population(space, genomes, images, recipe, **options)
        found[f"train {seed}"] = train_singly(space, config.sizes, genomes, images, recipe, paths["train"])
    return found


def compare(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How the errors of the same networks agree, in points and in ranks."""
    low, high = interval(-one, -other)
    return {
        "mean_absolute_difference": float(np.abs(one - other).mean()),
        "mean_difference": float((one - other).mean()),
        "std_of_difference": float((one - other).std(ddof=1)),
        "spearman": spearman(-one, -other),
        "spearman_low": low,
        "spearman_high": high,
    }


if __name__ == "__main__":
    sys.exit(main(Config, measure))
