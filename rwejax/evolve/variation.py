"""How children are made: tournament, crossover and mutation of integer genomes.

Tournament: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002, section III.B. Crossover: De Jong, "An analysis of the behavior of a class of
genetic adaptive systems", 1975. The sizes are NSGA-Net's: Lu et al., GECCO 2019, https://arxiv.org/abs/1810.03522.
"""

import itertools
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real, UInt

from rwejax.evolve.compiled import compiled
from rwejax.evolve.sorting import cumsum
from rwejax.genomes import check_genomes, integer_genomes


def make_children(
    key: PRNGKeyArray,
    n: int,
    population: Int[Array, "rows genes"],
    rank: Int[Array, " rows"],
    crowding: Float[Array, " rows"],
    lower: Int[Array | np.ndarray, " genes"],
    upper: Int[Array | np.ndarray, " genes"],
    crossover_rate: float | Float[Array, ""],
    mutation_rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    """Makes n children by tournament, crossover and mutation: the three functions, with one draw for all of them.

    Args:
        key: a random key.
        n: how many children.
        population: (rows, genes) int32, the parents.
        rank: (rows,) their non-dominated ranks, 0 is best.
        crowding: (rows,) their crowding distances.
        lower: (genes,) smallest value of each gene.
        upper: (genes,) largest value of each gene, inclusive.
        crossover_rate: probability that a child has genes of two parents.
        mutation_rate: probability that a gene of a child changes.
    """
    shapes = (2, 2 * n), (3, n), (2, _draws(n))
    sizes = [math.prod(shape) for shape in shapes]
    state, words = _draw(_state(key), sum(sizes))
    parts = jnp.split(words, list(itertools.accumulate(sizes[:-1])))
    for_tournament, for_crossover, for_mutation = (part.reshape(s) for part, s in zip(parts, shapes, strict=True))
    parents = _tournament(for_tournament, rank, crowding)
    first, second = population[parents.reshape(2, -1)]
    children = _cross(for_crossover, first, second, crossover_rate)
    return _mutate(state, for_mutation, children, lower, upper, mutation_rate)


@compiled("winners")
def tournament(
    key: PRNGKeyArray, rank: Int[Array | np.ndarray, " n"], crowding: Float[Array | np.ndarray, " n"], winners: int
) -> Int[Array, " {winners}"]:
    """Picks parents: of two different rows drawn uniformly, the one of lower rank, then of larger crowding distance.

    Args:
        key: a random key.
        rank: (n,) integers, 0 is best; n at least 2.
        crowding: (n,) crowding distances.
        winners: how many tournaments to hold.

    Returns:
        (winners,) indices.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> tournament(jax.random.key(0), jnp.array([1, 0]), jnp.array([jnp.inf, jnp.inf]), 3).tolist()
        [1, 1, 1]
    """
    _, words = _draw(_state(key), 2 * winners)
    return _tournament(words.reshape(2, -1), jnp.asarray(rank), jnp.asarray(crowding))


def _tournament(bits: UInt[Array, "2 k"], rank: Int[Array, " n"], crowding: Float[Array, " n"]) -> Int[Array, " k"]:
    first, second = _pairs(bits, rank.shape[0])
    # Which of the pair was drawn first is itself random, so keeping the first on a tie is a fair coin.
    second_wins = (rank[second] < rank[first]) | ((rank[second] == rank[first]) & (crowding[second] > crowding[first]))
    return jnp.where(second_wins, second, first)


@compiled()
def two_point_crossover(
    key: PRNGKeyArray,
    first: Real[Array | np.ndarray, "n genes"],
    second: Real[Array | np.ndarray, "n genes"],
    rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    """Makes one child of each pair of parents: the first parent, with one stretch of genes from the second.

    The two cuts are drawn uniformly among the pairs of different gene boundaries, the front of the genome included
    (De Jong's ring), so that every gene, the first one too, can be told apart from its neighbours.

    Args:
        key: a random key.
        first: (n, genes) parents that give the genes outside the cuts.
        second: (n, genes) parents that give the genes between the cuts.
        rate: probability that a pair is crossed at all; otherwise the child is the first parent.

    Returns:
        (n, genes) children. A genome of a single gene has no two boundaries, and is copied from the first parent.

    Raises:
        InputError: the parents are floats.
    """
    _, words = _draw(_state(key), 3 * len(first))
    return _cross(words.reshape(3, -1), integer_genomes(first, "first"), integer_genomes(second, "second"), rate)


def _cross(
    bits: UInt[Array, "3 n"],
    first: Int[Array, "n genes"],
    second: Int[Array, "n genes"],
    rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    genes = first.shape[1]
    cut, other_cut = _pairs(bits[:2], genes)
    crossed = (bits[2] >> 8).astype(jnp.float32) < rate * 2**24
    position = jnp.arange(genes)
    start, end = (ends[:, None] for ends in (jnp.minimum(cut, other_cut), jnp.maximum(cut, other_cut)))
    inside = (position >= start) & (position < end)
    return jnp.where(crossed[:, None] & inside, second, first)


def _pairs(bits: UInt[Array, "2 n"], values: int) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
    """Pairs of different integers from 0 to values - 1, out of random words; of a single value, pairs of equal ones."""
    # A remainder is uniform to values / 2**32.
    first, step = bits[0] % values, 1 + bits[1] % max(values - 1, 1)
    return first.astype(jnp.int32), ((first + step) % values).astype(jnp.int32)


def mutate(
    key: PRNGKeyArray,
    genomes: Real[Array | np.ndarray, "n genes"],
    lower: Int[Array | np.ndarray, " genes"],
    upper: Int[Array | np.ndarray, " genes"],
    rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    """Changes each gene with probability `rate`, to a value drawn uniformly from the gene's other values.

    The old value is never drawn again, so `rate` is the probability of a real change. A gene with a single value
    (`lower` equal to `upper`) stays.

    Args:
        key: a random key.
        genomes: (n, genes) integers within the bounds.
        lower: (genes,) smallest value of each gene.
        upper: (genes,) largest value of each gene, inclusive.
        rate: probability per gene, usually 1 / genes.

    Returns:
        (n, genes) genomes within the bounds.

    Raises:
        InputError: the genomes are floats, or a gene is out of its bounds.
    """
    return _mutate_anew(key, check_genomes(_Bounds(lower, upper), genomes), lower, upper, rate)


class _Bounds(NamedTuple):
    lower: Int[Array | np.ndarray, " genes"]
    upper: Int[Array | np.ndarray, " genes"]


@compiled()
def _mutate_anew(
    key: PRNGKeyArray,
    genomes: Int[Array | np.ndarray, "n genes"],
    lower: Int[Array | np.ndarray, " genes"],
    upper: Int[Array | np.ndarray, " genes"],
    rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    genomes = jnp.asarray(genomes)
    state, words = _draw(_state(key), 2 * _draws(len(genomes)))
    return _mutate(state, words.reshape(2, -1), genomes, lower, upper, rate)


def _draws(n: int) -> int:
    """At one gene a genome, the first round of so many draws is all but certain to find all genes that change."""
    return n + 4 * math.isqrt(n)


def _mutate(
    state: UInt[Array, "4"],
    bits: UInt[Array, "2 draws"],
    genomes: Int[Array, "n genes"],
    lower: Int[Array | np.ndarray, " genes"],
    upper: Int[Array | np.ndarray, " genes"],
    rate: float | Float[Array, ""],
) -> Int[Array, "n genes"]:
    if genomes.size == 0:
        return genomes
    lower, values = jnp.asarray(lower), jnp.asarray(upper - lower + 1)
    n, genes = genomes.shape
    # Draws are what costs here, and few genes change: so it is the steps from one that does to the next, genome after
    # genome, that are drawn, and they are geometric.
    longest = 2**30 // bits.shape[1]  # half of what a round may sum up to: as a float it is rounded

    def change(bits: UInt[Array, "2 draws"], last: Int[Array, ""], genomes: Int[Array, "n genes"]) -> tuple:
        distance, value = (bits >> 8).astype(jnp.float32) / 2**24
        # The inverse of the geometric distribution. At a rate of 1 it is 0; at 0 it is infinite or NaN, so not found.
        passed = jnp.floor(jnp.log1p(-distance) / jnp.log1p(-rate))
        found = passed < longest  # otherwise the walk goes on from there: what was passed does not matter to what comes
        place = last + cumsum(jnp.where(found, passed + 1, longest).astype(jnp.int32))
        child, gene = jnp.where(found, place // genes, n), place % genes  # child n is none: its change is dropped
        low, turn = lower[gene], values[gene]
        # Stepping round the cycle of values by less than a whole turn reaches every value but the old one.
        step = 1 + jnp.minimum(jnp.floor(value * (turn - 1)).astype(jnp.int32), turn - 2)
        changed = genomes[child, gene] - low + step
        changed = low + jnp.where(changed < turn, changed, changed - turn)
        return place[-1], genomes.at[child, gene].set(changed, mode="drop")

    def change_more(carry: tuple) -> tuple:
        state, last, genomes = carry
        state, words = _draw(state, bits.size)
        return state, *change(words.reshape(2, -1), last, genomes)

    start = state, *change(bits, jnp.int32(-1), genomes)
    return jax.lax.while_loop(lambda carry: carry[1] < genomes.size - 1, change_more, start)[2]


def _state(key: PRNGKeyArray) -> UInt[Array, "4"]:
    """The state of a generator that `_draw` draws from: a key and a count."""
    return jnp.resize(jax.random.key_data(key), (4,))


def _draw(state: UInt[Array, "4"], n: int) -> tuple[UInt[Array, "4"], UInt[Array, " n"]]:
    """Draws n random words, and gives the state to draw the next ones from."""
    step = 32
    steps = -(-n // step)

    def draw(state: UInt[Array, "4"], n: int) -> tuple[UInt[Array, "4"], UInt[Array, " n"]]:
        state, words = jax.lax.rng_bit_generator(state, (n,), algorithm=jax.lax.RandomAlgorithm.RNG_THREE_FRY)
        return state, words

    def draw_in_steps(state: UInt[Array, "4"]) -> tuple[UInt[Array, "4"], UInt[Array, " all"]]:
        state, words = jax.lax.scan(lambda state, _: draw(state, step), state, length=steps)
        return state, words.ravel()

    # The words are the same, but XLA makes one kernel of small steps on a CPU, and of `jax.random.bits` dozens.
    @jax.custom_batching.sequential_vmap
    def draw_all(state: UInt[Array, "4"]) -> tuple[UInt[Array, "4"], UInt[Array, " all"]]:
        return jax.lax.platform_dependent(state, cpu=draw_in_steps, default=partial(draw, n=steps * step))

    state, words = draw_all(state)
    return state, words[:n]
