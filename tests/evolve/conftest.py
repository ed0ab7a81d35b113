"""A toy search space, and algorithms that are made once: compiling them is what the tests of this folder wait for."""

from functools import cache

import jax
import jax.numpy as jnp
import pytest

from rwejax.evolve import NSGA2


class Grid:
    """Every vector of `genes` integers below `values`; two are the same if they are equal up to the order of genes."""

    def __init__(self, genes, values):
        self.lower = jnp.zeros(genes, jnp.int32)
        self.upper = jnp.full(genes, values - 1, jnp.int32)

    def sample(self, key, n):
        return jax.random.randint(key, (n, len(self.lower)), self.lower, self.upper + 1, jnp.int32)

    def canonical(self, genomes):
        return jnp.sort(genomes, axis=1)


@pytest.fixture(scope="session")
def grid():
    return cache(Grid)


@pytest.fixture(scope="session")
def nsga2(grid):
    return cache(lambda population, genes, values, archive=0: NSGA2(population, grid(genes, values), archive))
