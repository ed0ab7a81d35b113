"""How children are made: tournament, crossover and mutation of integer genomes.

Tournament: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002, section III.B. Crossover: De Jong, "An analysis of the behavior of a class of
genetic adaptive systems", 1975. The sizes are NSGA-Net's: Lu et al., GECCO 2019, https://arxiv.org/abs/1810.03522.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt


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

    Example:
        >>> import jax, jax.numpy as jnp
        >>> tournament(jax.random.key(0), jnp.array([1, 0]), jnp.array([jnp.inf, jnp.inf]), 3).tolist()
        [1, 1, 1]
    """
    n = jnp.shape(rank)[0]
    rank, crowding = jnp.asarray(rank), jnp.asarray(crowding)
    first, second = _pairs(jax.random.bits(key, (2, winners)), n)
    # Which of the pair was drawn first is itself random, so keeping the first on a tie is a fair coin.
    second_wins = (rank[second] < rank[first]) | ((rank[second] == rank[first]) & (crowding[second] > crowding[first]))
    return jnp.where(second_wins, second, first)


def two_point_crossover(
    key: PRNGKeyArray,
    first: Int[Array | np.ndarray, "n genes"],
    second: Int[Array | np.ndarray, "n genes"],
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
    """
    first, second = jnp.asarray(first), jnp.asarray(second)
    n, genes = first.shape
    bits = jax.random.bits(key, (3, n))
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
    genomes: Int[Array | np.ndarray, "n genes"],
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
    """
    genomes, lower, values = jnp.asarray(genomes), jnp.asarray(lower), jnp.asarray(upper - lower + 1)
    n, genes = genomes.shape
    total = genomes.size
    if total == 0:
        return genomes
    # Draws are what costs here, and few genes change: so it is the steps from one that does to the next, genome after
    # genome, that are drawn, and they are geometric. At one gene a genome, the first round of draws is all but certain
    # to find all.
    draws = n + 4 * math.isqrt(n)
    longest = 2**30 // draws  # half of what a round may sum up to: as a float it is rounded

    def change_more(carry: tuple) -> tuple:
        key, last, new = carry
        key, key_draw = jax.random.split(key)
        distance, value = jax.random.uniform(key_draw, (2, draws))
        passed = jnp.floor(jnp.log1p(-distance) / jnp.log1p(-rate))
        found = passed < longest  # otherwise the walk goes on from there: what was passed does not matter to what comes
        place = last + jnp.cumsum(jnp.where(found, passed + 1, longest).astype(jnp.int32))
        # Stepping round the cycle of values by less than a whole turn reaches every value but the old one.
        child, gene = jnp.where(found, place // genes, n), place % genes
        low, turn = lower[gene], values[gene]
        step = 1 + jnp.minimum(jnp.floor(value * (turn - 1)).astype(jnp.int32), turn - 2)
        changed = low + (genomes[child, gene] - low + step) % turn
        return key, place[-1], new.at[child, gene].set(changed, mode="drop")

    start = key, jnp.int32(-1), genomes
    return jax.lax.while_loop(lambda carry: carry[1] < total - 1, change_more, start)[2]
