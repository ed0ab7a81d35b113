"""NSGA-II (Deb et al., 2002) over integer genomes, in evosax's ask / tell shape.

[1] Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions
    on Evolutionary Computation 6(2), 2002, https://doi.org/10.1109/4235.996017
[2] Lu et al., "NSGA-Net: neural architecture search using multi-objective genetic algorithm", GECCO 2019,
    https://arxiv.org/abs/1810.03522 (two-point crossover, a population of 40, no genome twice)
"""

from collections.abc import Callable
from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from evosax import types
from flax import struct
from jaxtyping import Array, Float, Int, Integer, PRNGKeyArray, Real, Shaped

from rwejax.errors import InputError
from rwejax.evolve.compiled import compiled
from rwejax.evolve.distinct import GenomeSpace, encode, find_first, link, make_distinct, relink
from rwejax.evolve.ranking import rank_and_select
from rwejax.evolve.variation import make_children
from rwejax.genomes import check_genomes, integer_genomes

Metrics = dict[str, Array]

# The state and the params are exempt from shape checks: JAX rebuilds a pytree around whatever a transformation puts in
# it, such as a batch of arrays, shapes or dtypes.


@no_type_check
@struct.dataclass
class NSGA2State(types.State):
    """What NSGA-II knows between generations: a pytree of arrays whose shapes and dtypes never change.

    Attributes:
        population: (n, genes) int32, the survivors: front after front, those of a front by their first objective.
        fitness: (n, m) their objectives, to be minimised.
        rank: (n,) int32 their non-dominated ranks, as found among survivors and rejected together.
        crowding: (n,) their crowding distances, likewise.
        best_solution: (genes,) int32, the first of the population: no genome has a lower first objective.
        best_fitness: its first objective; infinite while every evaluation has given NaN.
        generation_counter: int32, how many times `tell` was called.
        codes: (n, words) the canonical forms of the population, packed by `rwejax.evolve.distinct.encode`.
        archive: (archive_size, words) those of the genomes evaluated last.
        archive_links: int32, to find them by, see `rwejax.evolve.distinct.link`.
        archive_count: int32, how many genomes were ever written to the archive.
    """

    population: Int[Array, "n genes"]
    fitness: Float[Array, "n m"]
    rank: Int[Array, " n"]
    crowding: Float[Array, " n"]
    best_solution: Int[Array, " genes"]
    best_fitness: Float[Array, ""]
    generation_counter: Int[Array, ""]
    codes: Integer[Array, "n words"]
    archive: Integer[Array, "archive words"]
    archive_links: Int[Array, " links"]
    archive_count: Int[Array, ""]


@no_type_check
@struct.dataclass
class NSGA2Params(types.Params):
    """Probabilities of variation.

    Attributes:
        crossover_rate: probability that a child has genes of two parents.
        mutation_rate: probability that a gene of a child changes.
    """

    crossover_rate: float
    mutation_rate: float


def metrics_fn(
    key: PRNGKeyArray,
    population: Int[Array, "n genes"],
    fitness: Float[Array, "n m"],
    state: NSGA2State,
    params: NSGA2Params,
) -> Metrics:
    """Measures a generation, after its survivors were chosen.

    Args:
        key: a random key, unused.
        population: (n, genes) the genomes just told, unused.
        fitness: (n, m) their objectives, unused.
        state: the state that `tell` returns.
        params: the algorithm's parameters, unused.

    Returns:
        generation_counter, best_fitness and best_solution as in `NSGA2State`; front_size, how many survivors nobody
        dominates; ideal, (m,) the lowest value of each objective among the survivors, NaN where there is none.
    """
    del key, population, fitness, params
    evaluated = ~jnp.isnan(state.fitness).any(axis=1)
    lowest = jnp.min(jnp.where(evaluated[:, None], state.fitness, jnp.inf), axis=0)
    return {
        "generation_counter": state.generation_counter,
        "best_fitness": state.best_fitness,
        "best_solution": state.best_solution,
        "front_size": jnp.sum((state.rank == 0) & evaluated, dtype=jnp.int32),
        "ideal": jnp.where(evaluated.any(), lowest, jnp.nan),
    }


class NSGA2:
    """NSGA-II: binary tournament, two-point crossover, mutation, and (mu + lambda) survival by rank and crowding.

    Differs from evosax's own algorithms in three ways: fitness is (n, m) and never shaped; genomes are int32 within
    the bounds of a space; and no genome is asked for twice, as far as the space has others left. It has their methods
    and not their base class, for an import of `evosax.algorithms` starts JAX, and then no other host can join.

    Each method is compiled once per object, shapes given. The methods may be called inside `jit`, `scan` and `vmap`: in
    one `jit`, `tell` and then `ask` of 1,000 genomes take a third less than apart.

    Args:
        population_size: survivors, and children, per generation; at least 2, odd or even.
        space: any object with `lower`, `upper`, `sample` and `canonical`, see `rwejax.evolve.GenomeSpace`.
        archive_size: how many evaluated genomes to remember, so that none of them is asked for again; the oldest are
            forgotten first. With 0, children still differ from each other and from the population.
        metrics_fn: makes the metrics that `tell` returns, called as `metrics_fn` in this module is.

    Raises:
        InputError: if a size is too small.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> class Bits:
        ...     lower, upper = jnp.zeros(8, jnp.int32), jnp.ones(8, jnp.int32)
        ...     def sample(self, key, n):
        ...         return jax.random.randint(key, (n, 8), 0, 2)
        ...     def canonical(self, genomes):
        ...         return genomes
        >>> def evaluate(genomes):  # few ones at the start, many at the end
        ...     return jnp.stack([genomes[:, :4].sum(1), -genomes[:, 4:].sum(1)], axis=1).astype(jnp.float32)
        >>> algorithm = NSGA2(10, Bits())
        >>> key_start, key_init, key = jax.random.split(jax.random.key(0), 3)
        >>> population = algorithm.initial_population(key_start)
        >>> state = algorithm.init(key_init, population, evaluate(population), algorithm.default_params)
        >>> for _ in range(20):
        ...     key, key_ask, key_tell = jax.random.split(key, 3)
        ...     children, state = algorithm.ask(key_ask, state, algorithm.default_params)
        ...     state, metrics = algorithm.tell(key_tell, children, evaluate(children), state, algorithm.default_params)
        >>> state.best_solution.tolist(), metrics["ideal"].tolist()
        ([0, 0, 0, 0, 1, 1, 1, 1], [0.0, -4.0])
    """

    def __init__(
        self,
        population_size: int,
        space: GenomeSpace,
        archive_size: int = 0,
        metrics_fn: Callable[..., Metrics] = metrics_fn,
    ) -> None:
        if population_size < 2:
            raise InputError(f"population_size is {population_size}, but a tournament needs 2 genomes; give 2 or more.")
        if archive_size < 0:
            raise InputError(f"archive_size is {archive_size}; give 0 for no archive, or how many genomes to remember.")
        self.population_size, self.space, self.archive_size = population_size, space, archive_size
        self.metrics_fn, self.num_dims = metrics_fn, len(space.lower)

    @property
    def default_params(self) -> NSGA2Params:
        """A crossover for nine children of ten, and one changed gene a child."""
        return NSGA2Params(crossover_rate=0.9, mutation_rate=1 / self.num_dims)

    @compiled("self")
    def initial_population(self, key: PRNGKeyArray) -> Int[Array, "n genes"]:
        """Samples population_size genomes that differ in canonical form, to be evaluated and given to `init`."""
        nothing = encode(self.space, jnp.zeros((0, self.num_dims), dtype=jnp.int32))
        links = link(nothing, jnp.zeros((0,), dtype=bool))
        return make_distinct(key, self.space, self.space.sample, self.population_size, nothing, links)

    def init(
        self,
        key: PRNGKeyArray,
        population: Shaped[Array | np.ndarray, "..."],
        fitness: Real[Array | np.ndarray, "..."],
        params: NSGA2Params,
    ) -> NSGA2State:
        """Starts from an evaluated population.

        Args:
            key: a random key; nothing is drawn, evosax's contract has it.
            population: (population_size, genes) genomes, integers of any width.
            fitness: (population_size, m) their objectives, to be minimised; NaN where an evaluation failed. The number
                of objectives is fixed from here on.
            params: the algorithm's parameters.

        Returns:
            The state of generation 0.

        Raises:
            InputError: if a shape does not fit, the genomes are floats, or a gene is out of its range.
        """
        del key, params
        self._check_shapes(population, fitness)
        if population.shape[0] != self.population_size:
            raise InputError(
                f"init was given {population.shape[0]} genomes; give {self.population_size}, one a survivor."
            )
        return self._init(check_genomes(self.space, population, "population"), fitness)

    @compiled("self")
    def _init(
        self, population: Int[Array | np.ndarray, "n genes"], fitness: Real[Array | np.ndarray, "n m"]
    ) -> NSGA2State:
        population = jnp.asarray(population)
        fitness = jnp.asarray(fitness, jnp.result_type(fitness, float))
        codes = encode(self.space, population)
        archive = jnp.zeros((self.archive_size, codes.shape[1]), codes.dtype)
        state = NSGA2State(
            archive=archive,
            archive_links=link(archive, jnp.zeros((self.archive_size,), dtype=bool)),
            archive_count=jnp.int32(0),
            generation_counter=jnp.int32(0),
            **self._survive(population, codes, fitness),
        )
        return self._remember(state, codes)

    def ask(
        self, key: PRNGKeyArray, state: NSGA2State, params: NSGA2Params
    ) -> tuple[Int[Array, "n genes"], NSGA2State]:
        """Makes the children of the population.

        They differ in canonical form from each other, from the population and from the archive, unless 100 rounds of
        variation do not find enough of them; the remaining children are then repeats.

        Args:
            key: a random key.
            state: the state that `init` or `tell` returned.
            params: the algorithm's parameters.

        Returns:
            (population_size, genes) int32 genomes to evaluate, and the state, unchanged.

        Raises:
            InputError: if the state's genomes were made floats.
        """
        return self._ask(key, state, params), state

    def tell(
        self,
        key: PRNGKeyArray,
        population: Shaped[Array | np.ndarray, "..."],
        fitness: Real[Array | np.ndarray, "..."],
        state: NSGA2State,
        params: NSGA2Params,
    ) -> tuple[NSGA2State, Metrics]:
        """Lets the best of the population and its children live on.

        Args:
            key: a random key, passed on to metrics_fn.
            population: (n, genes) evaluated children, integers of any width, usually all that `ask` returned.
            fitness: (n, m) their objectives, to be minimised; NaN where an evaluation failed.
            state: the state that `ask` returned.
            params: the algorithm's parameters.

        Returns:
            The next state, and its metrics.

        Raises:
            InputError: if a shape does not fit, the genomes are floats, or a gene is out of its range.
        """
        self._check_shapes(population, fitness)
        if fitness.shape[1] != state.fitness.shape[1]:
            raise InputError(
                f"tell was given {fitness.shape[1]} objectives; init was given {state.fitness.shape[1]}, give as many."
            )
        found = self._tell(key, integer_genomes(population, "population"), fitness, state, params)
        check_genomes(self.space, population, "population")  # while the survivors are chosen
        return found

    @compiled("self")
    def _tell(
        self,
        key: PRNGKeyArray,
        population: Int[Array | np.ndarray, "n genes"],
        fitness: Real[Array | np.ndarray, "n m"],
        state: NSGA2State,
        params: NSGA2Params,
    ) -> tuple[NSGA2State, Metrics]:
        population, fitness = jnp.asarray(population), jnp.asarray(fitness, state.fitness.dtype)
        codes = encode(self.space, population)
        survivors = self._survive(
            jnp.concatenate([state.population, population]),
            jnp.concatenate([state.codes, codes]),
            jnp.concatenate([state.fitness, fitness]),
        )
        state = state.replace(generation_counter=state.generation_counter + 1, **survivors)
        state = self._remember(state, codes)
        return state, self.metrics_fn(key, population, fitness, state, params)

    def reselect(
        self,
        population: Int[Array | np.ndarray, "n genes"],
        fitness: Real[Array | np.ndarray, "n m"],
        state: NSGA2State,
    ) -> NSGA2State:
        """Lets the best of evaluated genomes live on, whose objectives are other ones than they were.

        Args:
            population: (n, genes) genomes, at least population_size of them, such as all that were ever evaluated.
            fitness: (n, m) their objectives, to be minimised; NaN where an evaluation failed.
            state: the state that `tell` returned.

        Returns:
            The state with other survivors; what was asked for before is remembered as it was.

        Raises:
            InputError: if a shape does not fit, the genomes are floats, or a gene is out of its range.
        """
        self._check_shapes(population, fitness)
        if len(population) < self.population_size:
            raise InputError(f"reselect was given {len(population)} genomes; give {self.population_size} or more.")
        return self._reselect(check_genomes(self.space, population, "population"), fitness, state)

    @compiled("self")
    def _reselect(
        self,
        population: Int[Array | np.ndarray, "n genes"],
        fitness: Real[Array | np.ndarray, "n m"],
        state: NSGA2State,
    ) -> NSGA2State:
        population, fitness = jnp.asarray(population), jnp.asarray(fitness, state.fitness.dtype)
        return state.replace(**self._survive(population, encode(self.space, population), fitness))

    def get_best_solution(self, state: NSGA2State) -> Int[Array, " genes"]:
        """Returns `state.best_solution`."""
        return state.best_solution

    def get_population(self, state: NSGA2State) -> Int[Array, "n genes"]:
        """Returns `state.population`."""
        return state.population

    # Apart from `ask`, because a compiled function copies what it is given and returns.
    @compiled("self")
    def _ask(self, key: PRNGKeyArray, state: NSGA2State, params: NSGA2Params) -> Int[Array, "n genes"]:
        population = integer_genomes(state.population, "population")

        def propose(key: PRNGKeyArray, n: int) -> Int[Array, "n genes"]:
            bounds, rates = (self.space.lower, self.space.upper), (params.crossover_rate, params.mutation_rate)
            return make_children(key, n, population, state.rank, state.crowding, *bounds, *rates)

        return make_distinct(
            key, self.space, propose, self.population_size, state.archive, state.archive_links, state.codes
        )

    def _check_shapes(
        self, population: Shaped[Array | np.ndarray, "..."], fitness: Real[Array | np.ndarray, "..."]
    ) -> None:
        """Refuse, with a sentence, what signatures leave open."""
        if fitness.ndim != 2:
            raise InputError(
                f"fitness has shape {fitness.shape}; give (n, m), one row a genome, one column an objective."
            )
        if population.shape != (fitness.shape[0], self.num_dims):
            raise InputError(
                f"population has shape {population.shape}; give {(fitness.shape[0], self.num_dims)}, one genome a row "
                "of the fitness."
            )

    def _survive(
        self, population: Int[Array, "n genes"], codes: Integer[Array, "n words"], fitness: Float[Array, "n m"]
    ) -> dict[str, Array]:
        """Chooses population_size rows: the fields of the state that follow from them."""
        # Parents come first, so that of equals the one that was evaluated first stays.
        place = jnp.arange(len(codes), dtype=jnp.int32)
        repeats = find_first(codes, codes, place >= 0) != place
        # A repeat, which a used-up space makes unavoidable, ranks like a failure: it must not displace another genome.
        objectives = jnp.where(repeats[:, None], jnp.nan, fitness)
        rank, crowding, keep = rank_and_select(objectives, self.population_size)

        best = keep[0]
        return {
            "population": population[keep],
            "fitness": fitness[keep],
            "rank": rank[keep],
            "crowding": crowding[keep],
            "codes": codes[keep],
            "best_solution": population[best],
            "best_fitness": jnp.where(jnp.isnan(fitness[best]).any(), jnp.inf, fitness[best, 0]),
        }

    def _remember(self, state: NSGA2State, codes: Integer[Array, "n words"]) -> NSGA2State:
        """Writes codes to the archive, a ring: the oldest are overwritten once it is full."""
        if self.archive_size == 0:
            return state
        latest = codes[-self.archive_size :]
        place = (state.archive_count + jnp.arange(latest.shape[0], dtype=jnp.int32)) % self.archive_size
        count = state.archive_count + latest.shape[0]
        archive = state.archive.at[place].set(latest)
        links = relink(state.archive_links, archive, place, count)
        return state.replace(archive=archive, archive_links=links, archive_count=count)
