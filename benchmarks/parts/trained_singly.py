"""Networks trained by `rwejax.train`, one after another and each compiled anew, as `train_population` trains them."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rwejax import TrainConfig, data, register_source, spaces, train
from rwejax.data import Dataset, Source, Split
from rwejax.evaluate.population import Recipe, describe_setting
from rwejax.storage.trainings import TrainedNetwork, Trainings

IMAGES = "chosen"
"""Name of the images that every seed has alike."""


def register_images(dataset: Dataset) -> None:
    """Make the images of a dataset known as `IMAGES`, so that a seed draws no others, but their order alone.

    Args:
        dataset: its validation images serve as test images too, which nobody asks about.
    """
    splits = {
        name: Split(np.rint(images * dataset.std + dataset.mean).astype(np.uint8), labels, dataset.class_names)
        for name, images, labels in (
            ("train", dataset.train_images, dataset.train_labels),
            ("validation", dataset.validation_images, dataset.validation_labels),
        )
    }
    splits["test"] = splits["validation"]
    counts = {name: len(split.labels) for name, split in splits.items()}
    source = Source(IMAGES, IMAGES, "", counts, lambda split, image_size: splits[split])
    register_source(IMAGES, lambda name: source)


def load_images(seed: int) -> Dataset:
    """The registered images in the order of a seed, as `rwejax.train` loads them."""
    return data.load(IMAGES, train=None, validation=None, seed=seed)


def train_singly(
    space: spaces.Space, sizes: dict[str, int], genomes: np.ndarray, dataset: Dataset, recipe: Recipe, path: Path
) -> list[TrainedNetwork]:
    """What `train_population` does, by `rwejax.train`.

    Args:
        space: the search space.
        sizes: of its networks, as options of the space.
        genomes: the population.
        dataset: what `load_images` gives for the recipe's seed.
        recipe: how each network is trained.
        path: a file that gets a line for each network as soon as it is finished.
    """
    texts = [space.to_string(genome) for genome in np.asarray(space.canonical(genomes))]
    settled = recipe.settled(dataset)
    with Trainings.open(path, describe_setting(space, dataset, settled)) as file:
        for number, text in enumerate(texts, 1):
            if ("", text) not in file.known:
                file.append(_trained(space, sizes, text, settled))
                print(f"{number} of {len(texts)}", flush=True)
        return [file.known["", text] for text in texts]


def _trained(space: spaces.Space, sizes: dict[str, int], text: str, recipe: Recipe) -> TrainedNetwork:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        given: dict[str, Any] = {**sizes, **dataclasses.asdict(recipe), "dataset": IMAGES, "run_dir": run_dir}
        result = train(TrainConfig(space=space.name, architecture=text, **given))
    jax.clear_caches()  # nothing of it serves the next network
    last, images = result.epochs[-1], result.config.validation_images
    assert images is not None
    wrong = 1 - last.validation_accuracy / 100
    return TrainedNetwork(
        architecture=text,
        epochs=recipe.epochs,
        validation_error=100 * wrong,
        standard_error=100 * (wrong * (1 - wrong) / images) ** 0.5,
        validation_loss=last.validation_loss,
        train_loss=last.train_loss,
        train_accuracy=last.train_accuracy,
        macs=int(space.macs(result.genome[None])[0]),
        params=int(space.params(result.genome[None])[0]),
        seconds=time.perf_counter() - start,
    )
