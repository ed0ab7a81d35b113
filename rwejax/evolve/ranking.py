"""Who is better: non-dominated ranks, crowding distances and the cut to the best `n`.

Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002: section III.A (ranks), III.B (crowding), III.C (the cut). All objectives are
minimised. Every function is jitted, has static shapes and can be mapped with `jax.vmap`.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real


@jax.jit
def non_dominated_rank(objectives: Real[Array | np.ndarray, "n m"]) -> Int[Array, " n"]:
    """Ranks rows by the front they belong to; 0 is the front that nobody dominates.

    Equal rows share a rank, and infinities compare as numbers. A row with a NaN in any objective ranks behind every
    other row: all such rows share one rank, the number of fronts among the others, and change nothing of theirs.

    One or two objectives take O(n log n) comparisons, more take O(m n^2) and a pass of O(n^2) per front.

    Args:
        objectives: (n, m), one row a genome, to be minimised.

    Returns:
        (n,) int32 ranks.

    Example:
        >>> import jax.numpy as jnp
        >>> non_dominated_rank(jnp.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [jnp.nan, 0.0]])).tolist()
        [0, 0, 1, 2]
    """
    if jnp.shape(objectives)[0] == 0:
        return jnp.zeros((0,), dtype=jnp.int32)
    levels = _levels(jnp.asarray(objectives))
    if levels.shape[1] == 1:
        levels = jnp.pad(levels, ((0, 0), (0, 1)))  # a second objective that never tells two rows apart
    return _rank_by_sweep(levels) if levels.shape[1] == 2 else _rank_by_peeling(levels)


def _has_nan(objectives: Real[Array, "n m"]) -> Bool[Array, " n"]:
    return jnp.isnan(objectives).any(axis=1)


def _levels(objectives: Real[Array, "n m"]) -> Int[Array, "n m"]:
    """Replaces each objective by its place in the sorted column, from 0; equal values share a place.

    Dominance sees only the order, so nothing is lost, and two special cases go away. Infinities become plain integers.
    A row with a NaN takes place n in every column: it is dominated by every other row, and equal to its like.
    """
    n = objectives.shape[0]
    places = jax.vmap(lambda column: jnp.searchsorted(jnp.sort(column), column), in_axes=1, out_axes=1)(objectives)
    return jnp.where(_has_nan(objectives)[:, None], n, places).astype(jnp.int32)


def _rank_by_sweep(levels: Int[Array, "n 2"]) -> Int[Array, " n"]:
    """Ranks by one pass over the rows in lexicographic order, as in patience sorting.

    Whoever dominates a row comes before it, with a first objective no larger. So a front dominates the row exactly if
    the smallest second objective seen in that front, its tail, is no larger either. Tails never decrease from front to
    front, and the number of tails that are no larger than the row's second objective is its rank.
    """
    n = levels.shape[0]
    order = jnp.lexsort((levels[:, 1], levels[:, 0]))
    ordered = levels[order]
    # An equal row would be refused by the front that took its twin, though neither dominates the other.
    repeats = jnp.all(ordered == jnp.roll(ordered, 1, axis=0), axis=1).at[:1].set(False)

    def place(
        carry: tuple[Int[Array, " n"], Int[Array, ""]], row: tuple[Int[Array, ""], Bool[Array, ""]]
    ) -> tuple[tuple[Int[Array, " n"], Int[Array, ""]], Int[Array, ""]]:
        tails, previous = carry
        second, repeat = row
        rank = jnp.searchsorted(tails, second, side="right", method="scan_unrolled").astype(jnp.int32)
        rank = jnp.where(repeat, previous, rank)
        return (tails.at[rank].set(second), rank), rank

    no_tails = jnp.full((n,), n + 1, dtype=jnp.int32)
    _, ranks = jax.lax.scan(place, (no_tails, jnp.int32(0)), (ordered[:, 1], repeats))
    return jnp.zeros((n,), dtype=jnp.int32).at[order].set(ranks)


def _rank_by_peeling(levels: Int[Array, "n m"]) -> Int[Array, " n"]:
    """Ranks by taking away, again and again, the rows that no remaining row dominates."""
    no_worse = reduce(jnp.logical_and, (column[:, None] <= column[None, :] for column in levels.T))
    dominates = no_worse & ~no_worse.T

    def peel(carry: tuple[Int[Array, ""], Int[Array, " n"]]) -> tuple[Int[Array, ""], Int[Array, " n"]]:
        front, rank = carry
        remaining = rank < 0
        dominated = jnp.any(dominates & remaining[:, None], axis=0)
        return front + 1, jnp.where(remaining & ~dominated, front, rank)

    unranked = jnp.full((levels.shape[0],), -1, dtype=jnp.int32)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] < 0), peel, (jnp.int32(0), unranked))[1]


@jax.jit
def crowding_distance(
    objectives: Real[Array | np.ndarray, "n m"], rank: Int[Array | np.ndarray, " n"]
) -> Float[Array, " n"]:
    """Measures how alone each row is inside its own front; infinite at the ends of the front.

    The mean over the objectives of the gap between a row's two neighbours, in units of that front's range of the
    objective: pymoo's "cd". Deb's own distance is the sum, m times as much, and orders rows alike. What Deb leaves
    open is settled as in pymoo, except where pymoo gives NaN:

    - both rows of a front of two, and the one of a front of one, are infinite;
    - equal values keep the order of the rows. Equal rows are neighbours at distance 0, none is filtered out, so only
      the first of several equal rows at the low end, and the last at the high end, is infinite;
    - an objective that is constant in a front adds 0, at the ends too;
    - ranges are taken over the finite values; a gap up to an infinite value is infinite, one between two equal
      infinities 0;
    - a row with a NaN gets 0, and the other rows' distances do not see it.

    Args:
        objectives: (n, m), one row a genome.
        rank: (n,) integers, the front of each row as `non_dominated_rank` gives it.

    Returns:
        (n,) distances, larger is better; never NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> objectives = jnp.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]])
        >>> crowding_distance(objectives, non_dominated_rank(objectives)).tolist()
        [inf, 1.0, inf]
    """
    objectives = jnp.asarray(objectives)
    values = objectives.astype(jnp.result_type(objectives, float))
    nan = _has_nan(values)
    front = jnp.where(nan, jnp.iinfo(jnp.int32).max, rank)
    distances = jax.vmap(partial(_gaps, front=front), in_axes=1)(values)
    return jnp.where(nan, 0, jnp.mean(distances, axis=0))


def _gaps(values: Float[Array, " n"], front: Int[Array, " n"]) -> Float[Array, " n"]:
    """The share of one objective in the crowding distance."""
    n = values.shape[0]
    order = jnp.lexsort((values, front))
    ordered, ordered_front = values[order], front[order]

    changes = ordered_front[1:] != ordered_front[:-1]
    first = jnp.ones((n,), dtype=bool).at[1:].set(changes)
    last = jnp.ones((n,), dtype=bool).at[:-1].set(changes)
    segment = jnp.cumsum(first) - 1
    lowest = partial(jax.ops.segment_min, segment_ids=segment, num_segments=n)
    highest = partial(jax.ops.segment_max, segment_ids=segment, num_segments=n)

    finite = jnp.isfinite(ordered)
    span = highest(jnp.where(finite, ordered, -jnp.inf)) - lowest(jnp.where(finite, ordered, jnp.inf))
    share = (jnp.roll(ordered, -1) - jnp.roll(ordered, 1)) / span[segment]
    # NaN is 0 / 0, the inside of a constant front, or the gap between two equal infinities.
    share = jnp.where(jnp.isnan(share), 0, share)

    varies = highest(ordered) > lowest(ordered)
    small = jnp.bincount(segment, length=n) <= 2
    at_end = jnp.where((varies | small)[segment], jnp.inf, 0)
    return jnp.zeros_like(values).at[order].set(jnp.where(first | last, at_end, share))


@partial(jax.jit, static_argnames=("n",))
def select_survivors(
    rank: Int[Array | np.ndarray, " rows"], crowding: Float[Array | np.ndarray, " rows"], n: int
) -> Int[Array, " n"]:
    """Chooses the `n` best rows: whole fronts in the order of rank, and the least crowded rows of the last one.

    Args:
        rank: (rows,) integers, 0 is best.
        crowding: (rows,) crowding distances, larger is better.
        n: how many rows live on, at most `rows`.

    Returns:
        (n,) indices, best first; rows that tie keep their order.

    Example:
        >>> import jax.numpy as jnp
        >>> select_survivors(jnp.array([1, 0, 1]), jnp.array([0.5, 2.0, jnp.inf]), 2).tolist()
        [1, 2]
    """
    return jnp.lexsort((-jnp.asarray(crowding), rank))[:n]
