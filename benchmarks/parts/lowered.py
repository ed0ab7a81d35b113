"""What a search and a training call beside the pass of a population, lowered for a platform that is not here."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rwejax import TrainConfig, networks
from rwejax.data import Dataset
from rwejax.evaluate.population import PopulationTrainer, Recipe
from rwejax.evaluate.population.recipe import key_of_steps, optimiser
from rwejax.evolve import NSGA2, hypervolume
from rwejax.spaces import Space
from rwejax.training.step import make_step, state_shapes

_GENERATIONS = 20  # of a search, which remembers all of their genomes


def generation(space: Space, dataset: Dataset, genomes: np.ndarray, platform: str) -> jax.export.Exported:
    """A generation of NSGA-II: survivors of a population and its children, and the next children."""
    algorithm = NSGA2(len(genomes), space, archive_size=_GENERATIONS * len(genomes))
    params = algorithm.default_params

    def step(words: Any, children: Any, fitness: Any, state: Any) -> Any:
        state, _ = algorithm.tell(jax.random.key(0), children, fitness, state, params)
        return algorithm.ask(jax.random.wrap_key_data(words), state, params)

    fitness = jnp.zeros((len(genomes), 2), jnp.float32)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), genomes, fitness, params))
    words = jax.random.key_data(jax.random.key(0))
    return jax.export.export(jax.jit(step), platforms=[platform])(words, jnp.asarray(genomes), fitness, state)


def volume(space: Space, dataset: Dataset, genomes: np.ndarray, platform: str) -> jax.export.Exported:
    """The hypervolume of as many points of two objectives."""
    points = jnp.zeros((len(genomes), 2), jnp.float32)
    return jax.export.export(jax.jit(hypervolume), platforms=[platform])(points, jnp.ones(2, jnp.float32))


def training_step(space: Space, dataset: Dataset, genomes: np.ndarray, platform: str) -> jax.export.Exported:
    """A step of `rwejax.train`: the first network, as many images as it takes by default."""
    config = TrainConfig(architecture=space.to_string(genomes[0]))
    steps = config.epochs * (len(dataset.train_labels) // config.batch_size)
    network = networks.build(space, genomes[0])
    state = state_shapes(network, dataset.image_shape, optimiser(config, steps))
    step = make_step(config, steps, lambda images: images, cutout=0, crop_padding=4, flip=True)
    size = config.batch_size
    batch = np.zeros((size, *dataset.image_shape), np.float32), np.zeros(size, np.int32)
    return jax.export.export(step, platforms=[platform])(key_of_steps(config.seed), state, *batch)


def population_epoch(space: Space, dataset: Dataset, genomes: np.ndarray, platform: str) -> jax.export.Exported:
    """An epoch of population training, of one network."""
    trainer = PopulationTrainer(space, dataset, Recipe(), devices=jax.devices()[:1])
    alive = genomes[np.flatnonzero(trainer.alive(genomes))[0]]
    return trainer.export(alive, [platform])


LOWERINGS: dict[str, Callable[[Space, Dataset, np.ndarray, str], jax.export.Exported]] = {
    "a generation of NSGA-II": generation,
    "a hypervolume": volume,
    "a step of train": training_step,
    "an epoch of population training": population_epoch,
}
"""Functions of a space, images, genomes and a platform."""
