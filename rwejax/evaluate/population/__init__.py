"""Population training: many different networks trained for real, by one compiled step."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from rwejax.data import Dataset
from rwejax.evaluate.population.recipe import Recipe
from rwejax.evaluate.population.trainer import PopulationTrainer, Trained
from rwejax.genomes import check_genomes
from rwejax.spaces import Space
from rwejax.storage.trainings import TrainedNetwork, Trainings

__all__ = ["PopulationTrainer", "Recipe", "Trained", "describe_setting", "measured", "train_population"]


def train_population(
    space: Space,
    genomes: Int[Any, "n genes"],
    dataset: Dataset,
    recipe: Recipe | None = None,
    *,
    path: str | Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_trained: Callable[[TrainedNetwork, int, int], None] | None = None,
) -> list[TrainedNetwork]:
    """Train many different networks for real, each with weights of its own, by one compiled step.

    Each is trained as `rwejax.train` trains it with the same constants and seed. The first network compiles, the others
    do not. What comes of a network depends on no other.

    Args:
        space: the search space, made for the images of `dataset`.
        genomes: the population; genomes that decode to the same network are trained once.
        dataset: images and labels.
        recipe: how each network is trained; None: `Recipe()`.
        path: a file that gets a line for each network as soon as it is finished, after a first one that names the
            setting. Networks that are there are not trained again, so that the same call resumes a killed one.
        devices: the devices, each of which trains a network; by default all of JAX's.
        on_trained: is called with each network when its training has ended and it is in the file, and with how many are
            finished of how many different ones.

    Returns:
        What was measured of each, in the order of the genomes.

    Raises:
        InputError: the genomes are none of the space, space and dataset do not fit, the recipe is out of its bounds, or
            the file cannot be written or was written in another setting.

    Examples:
        >>> import jax
        >>> from rwejax import data, spaces
        >>> dataset = data.load("digits", train=128, validation=64)
        >>> space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape, classes=10)
        >>> genomes = space.sample(jax.random.key(0), 3)
        >>> found = train_population(space, genomes, dataset, Recipe(epochs=2))
        >>> len(found), all(0 <= each.validation_error <= 100 for each in found)
        (3, True)
    """
    trainer = PopulationTrainer(space, dataset, recipe or Recipe(), devices=devices)
    canonical = np.asarray(space.canonical(np.asarray(check_genomes(space, genomes))))
    texts = [space.to_string(genome) for genome in canonical]
    setting = describe_setting(space, dataset, trainer.recipe)
    with nullcontext() if path is None else Trainings.open(Path(path), setting) as file:
        known = {} if file is None else {text: network for (_, text), network in file.known.items()}
        missing = list({text: n for n, text in enumerate(texts) if text not in known}.values())
        different = len(set(texts))
        for finished, (_, found) in enumerate(measured(trainer, canonical[missing]), different - len(missing) + 1):
            known[found.architecture] = found
            if file is not None:
                file.append(found)
            if on_trained is not None:
                on_trained(found, finished, different)
        return [known[text] for text in texts]


def describe_setting(space: Space, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What decides on the numbers that come out, as JSON has it.

    Args:
        space: the search space.
        dataset: images and labels.
        recipe: how each network is trained.
    """
    fields = dataclasses.fields(space)  # type: ignore[arg-type]
    sizes = {field.name: getattr(space, field.name) for field in fields}
    return {"space": space.name, **sizes, "images": dataset.fingerprint, **dataclasses.asdict(recipe)}


def measured(
    trainer: PopulationTrainer, genomes: Int[np.ndarray, "n genes"], epochs: int | None = None
) -> Iterator[tuple[int, TrainedNetwork]]:
    """Train networks, and say what was measured of each; those through which no path leads come last.

    Args:
        trainer: trains them.
        genomes: the networks, in canonical form.
        epochs: passes over the train images; None: as the recipe says.

    Yields:
        The number of a network among the genomes, and what was measured of it.
    """
    epochs = epochs or trainer.recipe.epochs
    pending = dict(enumerate(genomes))
    for found in trainer(genomes, epochs):
        yield found.number, _described(trainer, pending.pop(found.number), found, epochs)
    for number, genome in pending.items():
        yield number, _described(trainer, genome, None, epochs)


def _described(
    trainer: PopulationTrainer, genome: Int[np.ndarray, " genes"], found: Trained | None, epochs: int
) -> TrainedNetwork:
    space, images = trainer.space, trainer.validation_images
    error, last = math.nan, math.nan
    if found is not None:
        last = float(found.losses[-len(found.losses) // epochs :].mean())
        if math.isfinite(found.validation_loss):
            error = (images - found.correct) / images
    return TrainedNetwork(
        architecture=space.to_string(genome),
        epochs=epochs,
        validation_error=100 * error,
        standard_error=100 * math.sqrt(error * (1 - error) / images),
        validation_loss=math.nan if found is None else found.validation_loss,
        train_loss=last,
        train_accuracy=math.nan if found is None else found.train_accuracy,
        macs=int(space.macs(genome[None])[0]),
        params=int(space.params(genome[None])[0]),
        seconds=0.0 if found is None else found.seconds,
    )
