"""The size of a network as an estimate of its accuracy: what every better estimator must beat."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.data import Dataset
from rwejax.evaluate.costs import complexity
from rwejax.spaces import Space

Estimate = Callable[[jax.Array, Int[Any, "n genes"]], Float[np.ndarray, " n"]]


def macs(space: Space, dataset: Dataset) -> Estimate:
    """Multiply-adds for one image; more is taken to be better.

    Args:
        space: the search space, which counts them.
        dataset: not looked at.

    Returns:
        A function of a key, which it does not use, and (n, genes) integers to (n,) float64 counts. Given what is no
        population of the space it raises `InputError`.
    """
    return lambda key, genomes: complexity.macs(space)(genomes)


def params(space: Space, dataset: Dataset) -> Estimate:
    """Parameters; more is taken to be better.

    Args:
        space: the search space, which counts them.
        dataset: not looked at.

    Returns:
        A function as `macs` returns it.
    """
    return lambda key, genomes: complexity.params(space)(genomes)
