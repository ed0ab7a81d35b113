"""The size of a network as an estimate of its accuracy: what every better estimator must beat."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.data import Dataset
from rwejax.spaces import Space
from rwejax.spaces.base import integer_genomes

Estimate = Callable[[jax.Array, Int[Any, "n genes"]], Float[np.ndarray, " n"]]


def macs(space: Space, dataset: Dataset) -> Estimate:
    """Multiply-adds for one image; more is taken to be better."""
    return lambda key, genomes: space.macs(space.canonical(integer_genomes(genomes))).astype(float)


def params(space: Space, dataset: Dataset) -> Estimate:
    """Parameters; more is taken to be better."""
    return lambda key, genomes: space.params(space.canonical(integer_genomes(genomes))).astype(float)
