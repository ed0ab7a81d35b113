"""Random search, the baseline that every search has to beat, in the shape of `NSGA2`.

Li, Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019,
https://arxiv.org/abs/1902.07638
"""

from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Int, PRNGKeyArray

from rwejax.evolve.compiled import compiled
from rwejax.evolve.distinct import GenomeSpace, sample_distinct
from rwejax.genomes import check_genomes


@no_type_check
@struct.dataclass
class RandomSearchState:
    """What was drawn so far.

    Attributes:
        archive: (archive_size, genes) int32 canonical forms of the genomes told.
        archive_count: int32, how many rows of the archive are written.
    """

    archive: Int[Array, "archive genes"]
    archive_count: Int[Array, ""]


class RandomSearch:
    """The baseline: every generation is drawn anew, and no network twice. In the shape of `NSGA2`.

    Args:
        population_size: genomes a generation.
        space: where to sample.
        archive_size: how many evaluated genomes to remember; all of them, for none to come again.
    """

    default_params = None

    def __init__(self, population_size: int, space: GenomeSpace, archive_size: int) -> None:
        self.population_size, self.space, self.archive_size = population_size, space, archive_size

    def initial_population(self, key: PRNGKeyArray) -> Int[Array, "n genes"]:
        """The same as that of `NSGA2` for the same key."""
        return sample_distinct(key, self.space, self.population_size)

    def init(self, key: PRNGKeyArray, population: Any, fitness: Any, params: None) -> RandomSearchState:
        """Start from an evaluated population.

        Args:
            key: passed on to `tell`, which draws nothing.
            population: (population_size, genes) int32 genomes.
            fitness: their objectives, of which nothing is kept.
            params: None; `NSGA2` has some.
        """
        nothing = jnp.zeros((self.archive_size, len(self.space.lower)), jnp.int32)
        return self.tell(key, population, fitness, RandomSearchState(nothing, jnp.int32(0)), params)[0]

    def ask(
        self, key: PRNGKeyArray, state: RandomSearchState, params: None
    ) -> tuple[Int[Array, "n genes"], RandomSearchState]:
        """Draw genomes that were never drawn before, as far as the space has such.

        Args:
            key: a random key.
            state: what was drawn so far.
            params: None; `NSGA2` has some.
        """
        return sample_distinct(key, self.space, self.population_size, state.archive, state.archive_count), state

    def tell(
        self, key: PRNGKeyArray, population: Any, fitness: Any, state: RandomSearchState, params: None
    ) -> tuple[RandomSearchState, dict[str, Array]]:
        """Remember the genomes; their fitness changes nothing.

        Args:
            key: unused, evosax's contract has it.
            population: (n, genes) integers, the evaluated genomes; the archive must have room for them.
            fitness: their objectives, of which nothing is kept.
            state: what was drawn before.
            params: None; `NSGA2` has some.

        Raises:
            InputError: the population is of floats, or a gene is out of its range.
        """
        return self._remember(check_genomes(self.space, population, "population"), state), {}

    @compiled("self")
    def _remember(self, population: Int[Array | np.ndarray, "n genes"], state: RandomSearchState) -> RandomSearchState:
        forms = self.space.canonical(jnp.asarray(population))
        archive = jax.lax.dynamic_update_slice(state.archive, forms, (state.archive_count, jnp.int32(0)))
        return RandomSearchState(archive, state.archive_count + len(forms))
