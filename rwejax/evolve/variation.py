"""How children are made: tournament, crossover and mutation of integer genomes.

Tournament: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002, section III.B. Crossover: De Jong, "An analysis of the behavior of a class of
genetic adaptive systems", 1975. The sizes are NSGA-Net's: Lu et al., GECCO 2019, https://arxiv.org/abs/1810.03522.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


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
    key_first, key_step = jax.random.split(key)
    first, second = _draw_pairs(key_first, key_step, winners, n)
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
    key_cut, key_length, key_crossed = jax.random.split(key, 3)
    cut, other_cut = _draw_pairs(key_cut, key_length, n, genes)[..., None]
    crossed = jax.random.bernoulli(key_crossed, rate, (n, 1))
    position = jnp.arange(genes)
    inside = (position >= jnp.minimum(cut, other_cut)) & (position < jnp.maximum(cut, other_cut))
    return jnp.where(crossed & inside, second, first)


def _draw_pairs(key_first: PRNGKeyArray, key_step: PRNGKeyArray, n: int, values: int) -> Int[Array, "2 {n}"]:
    """Draws n pairs of different integers from 0 to values - 1; of a single value, pairs of equal ones."""

    def draw(key: PRNGKeyArray, low: Int[Array, ""]) -> Int[Array, " n"]:
        return jax.random.randint(key, (n,), low, values)

    first, step = jax.vmap(draw)(jnp.stack([key_first, key_step]), jnp.arange(2))  # quicker than one after the other
    return jnp.stack([first, (first + step) % values])


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
    genomes, lower = jnp.asarray(genomes), jnp.asarray(lower)
    # One number a gene says whether it changes and, as its place below the rate, to what: draws are what costs here.
    drawn = jax.random.uniform(key, genomes.shape)
    mutated: Bool[Array, "n genes"] = drawn < rate
    # Stepping round the cycle of values by less than a whole turn reaches every value but the old one.
    values = upper - lower + 1
    steps = jnp.floor(drawn / rate * (values - 1)).astype(genomes.dtype)
    step = 1 + jnp.minimum(steps, values - 2)
    return jnp.where(mutated, lower + (genomes - lower + step) % values, genomes).astype(genomes.dtype)
