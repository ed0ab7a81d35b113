"""Who is better: non-dominated ranks, crowding distances and the cut to the best `n`.

Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002: section III.A (ranks), III.B (crowding), III.C (the cut). All objectives are
minimised. Every function is jitted, has static shapes and can be mapped with `jax.vmap`.
"""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real, UInt

from rwejax.evolve.compiled import compiled
from rwejax.evolve.sorting import as_unsigned, cumsum, lexsort, nth, true_first

_LARGEST = np.uint32(0xFFFFFFFF)


@compiled()
def non_dominated_rank(objectives: Real[Array | np.ndarray, "n m"]) -> Int[Array, " n"]:
    """Ranks rows by the front they belong to; 0 is the front that nobody dominates.

    Equal rows share a rank, and infinities compare as numbers. A row with a NaN in any objective ranks behind every
    other row: all such rows share one rank, the number of fronts among the others, and change nothing of theirs.

    One or two objectives take O(n log n) comparisons, more take O(m n^2) and a pass of O(n^2) per front.

    Args:
        objectives: (n, m), one row a genome, to be minimised.

    Returns:
        (n,) int32 ranks.

    Examples:
        >>> import jax.numpy as jnp
        >>> non_dominated_rank(jnp.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [jnp.nan, 0.0]])).tolist()
        [0, 0, 1, 2]
    """
    objectives = jnp.asarray(objectives)
    if objectives.shape[1] > 2:
        return _rank_by_peeling(_as_columns(objectives))
    return _sweep(*_as_pair(objectives))[0]


def _as_columns(objectives: Real[Array, "n m"]) -> list[UInt[Array, " n"]]:
    """The objectives as integers of the same order, which is all that dominance sees; infinities are like other values.

    A row with a NaN is made largest in every column: it is dominated by every other row, and equal to its like.
    """
    return [jnp.where(_has_nan(objectives), _LARGEST, as_unsigned(column)) for column in objectives.T]


def _as_pair(objectives: Real[Array, "n m"]) -> list[UInt[Array, " n"]]:
    """One or two columns as two: a second one that equals the first never tells two rows apart."""
    columns = _as_columns(objectives)
    return [columns[0], columns[-1]]


def _has_nan(objectives: Real[Array, "n m"]) -> Bool[Array, " n"]:
    return jnp.isnan(objectives).any(axis=1)


def _sweep(
    first: UInt[Array, " n"], second: UInt[Array, " n"]
) -> tuple[Int[Array, " n"], tuple[Int[Array, " n"], ...]]:
    """Ranks by one pass over the rows in lexicographic order, as in patience sorting; and the order inside the fronts.

    Whoever dominates a row comes before it, with a first objective no larger. So a front dominates the row exactly if
    the smallest second objective seen in that front, its tail, is no larger either. Tails never decrease from front to
    front, and the number of tails that are no larger than the row's second objective is its rank.

    Inside a front the second objective falls as the first one rises, so that both orders follow without sorting.

    Returns:
        (n,) int32 ranks; and, for each objective, the order that a sort by rank, objective and place gives.
    """
    n = first.shape[0]
    if n == 0:
        nothing = jnp.zeros((0,), dtype=jnp.int32)
        return nothing, (nothing, nothing)
    order = lexsort((second, first))
    first, second = first[order], second[order]
    # An equal row would be refused by the front that took its twin, though neither dominates the other.
    repeats = ((first == jnp.roll(first, 1)) & (second == jnp.roll(second, 1))).at[0].set(False)

    steps = [1 << bit for bit in reversed(range(n.bit_length()))]  # of a binary search among the tails

    def place(carry: tuple, row: tuple[UInt[Array, ""], Bool[Array, ""]]) -> tuple[tuple, tuple]:
        tails, sizes, fronts, previous, size, before = carry
        second, repeat = row
        # Written a step late: XLA's CPU backend copies an array that is read and then written.
        sizes = sizes.at[previous].set(size)
        rank = jnp.int32(0)
        for step in steps:
            rank += jnp.where(tails[rank + step - 1] <= second, step, 0)
        # A NaN is as large as the tails of fronts that are not there yet, and passes them all.
        rank = jnp.where(repeat, previous, jnp.minimum(rank, fronts))
        size, before = sizes[rank] + 1, jnp.where(repeat, before + 1, 0)
        carry = tails.at[rank].set(second), sizes, jnp.maximum(fronts, rank + 1), rank, size, before
        return carry, (rank, size, before)

    zero, zeros = jnp.int32(0), jnp.zeros((n,), dtype=jnp.int32)
    start = jnp.full((2 * steps[0] - 1,), _LARGEST), zeros, zero, zero, zero, zero
    (_, sizes, _, last, size, _), (ranks, ordinal, before) = jax.lax.scan(place, start, (second, repeats))
    sizes = sizes.at[last].set(size)
    first_place, size = (cumsum(sizes) - sizes)[ranks], sizes[ranks]

    # The second objective orders a front the other way round, but equal rows among themselves by place, as the first.
    run = jnp.arange(n, dtype=jnp.int32) - before
    equals = zeros.at[run].add(1)[run]
    turned = size - ordinal + 2 * before - (equals - 1)

    def put(values: Int[Array, " n"], place: Int[Array, " n"]) -> Int[Array, " n"]:
        return zeros.at[place].set(values, unique_indices=True)

    return put(ranks, order), (put(order, first_place + ordinal - 1), put(order, first_place + turned))


def _rank_by_peeling(columns: Sequence[UInt[Array, " n"]]) -> Int[Array, " n"]:
    """Ranks by taking away, again and again, the rows that no remaining row dominates."""
    no_worse = reduce(jnp.logical_and, (column[:, None] <= column[None, :] for column in columns))
    dominates = no_worse & ~no_worse.T

    def peel(carry: tuple[Int[Array, ""], Int[Array, " n"]]) -> tuple[Int[Array, ""], Int[Array, " n"]]:
        front, rank = carry
        remaining = rank < 0
        dominated = jnp.any(dominates & remaining[:, None], axis=0)
        return front + 1, jnp.where(remaining & ~dominated, front, rank)

    unranked = jnp.full(columns[0].shape, -1, dtype=jnp.int32)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] < 0), peel, (jnp.int32(0), unranked))[1]


@compiled()
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

    Examples:
        >>> import jax.numpy as jnp
        >>> objectives = jnp.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]])
        >>> crowding_distance(objectives, non_dominated_rank(objectives)).tolist()
        [inf, 1.0, inf]
    """
    objectives, rank = jnp.asarray(objectives), jnp.asarray(rank)
    rank = jnp.where(_has_nan(objectives), jnp.iinfo(jnp.int32).max, rank)
    orders = _sort_fronts(objectives, rank)
    # Fronts as `non_dominated_rank` counts them, without gaps.
    next_front = jnp.diff(rank[orders[0]], prepend=rank[orders[0]][:1]) != 0
    front = cumsum(next_front.astype(jnp.int32))
    return _crowding_distance(objectives, front, orders)


def _sort_fronts(objectives: Real[Array, "n m"], front: Int[Array, " n"]) -> tuple[Int[Array, " n"], ...]:
    """For each objective, the order by front, then objective, then place."""
    return tuple(lexsort((column, front)) for column in objectives.T)


def _crowding_distance(
    objectives: Real[Array, "n m"], front: Int[Array, " n"], orders: Sequence[Int[Array, " n"]]
) -> Float[Array, " n"]:
    """With, for each objective, the order by front and then objective; and the fronts in these orders, from 0 up.

    No front has rows with a NaN and rows without.
    """
    values = objectives.astype(jnp.result_type(objectives, float))
    n, m = values.shape
    place = jnp.arange(n, dtype=jnp.int32)

    def count(flags: Bool[Array, " n"] | int) -> Int[Array, " n"]:
        """How many there are in each front."""
        return jnp.zeros((n,), jnp.int32).at[front].add(flags, indices_are_sorted=True)

    size = count(1)
    start = (cumsum(size) - size)[front]
    end = start + size[front] - 1
    total = jnp.zeros((n,), values.dtype)
    for column, order in zip(values.T, orders, strict=True):
        column = column[order]
        # Infinities lie at the ends. Where nothing else does, any range will do: all gaps are 0.
        low, high = start + count(column == -jnp.inf)[front], end - count(column == jnp.inf)[front]
        span = column[high] - column[low]
        share = (jnp.roll(column, -1) - jnp.roll(column, 1)) / span
        # NaN is 0 / 0, the inside of a constant front, or the gap between two equal infinities.
        share = jnp.where(jnp.isnan(share), 0, share)
        at_end = jnp.where((column[end] > column[start]) | (end <= start + 1), jnp.inf, 0)
        share = jnp.where((place == start) | (place == end), at_end, share)
        total = total.at[order].add(share, unique_indices=True)
    return jnp.where(_has_nan(values), 0, total / m)


@compiled("n")
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

    Examples:
        >>> import jax.numpy as jnp
        >>> select_survivors(jnp.array([1, 0, 1]), jnp.array([0.5, 2.0, jnp.inf]), 2).tolist()
        [1, 2]
    """
    return lexsort((-jnp.asarray(crowding), jnp.asarray(rank)))[:n]


def rank_and_select(
    objectives: Real[Array | np.ndarray, "rows m"], n: int
) -> tuple[Int[Array, " rows"], Float[Array, " rows"], Int[Array, " {n}"]]:
    """Ranks, crowding distances and survivors of the same rows: as the three functions give them, and quicker.

    The survivors come front after front, those of a front by their first objective.

    Args:
        objectives: (rows, m), one row a genome, to be minimised.
        n: how many rows live on, at most `rows`.
    """
    objectives = jnp.asarray(objectives)
    rows, m = objectives.shape
    if m > 2:
        rank = non_dominated_rank(objectives)
        orders = _sort_fronts(objectives, rank)
    else:
        rank, orders = _sweep(*_as_pair(objectives))
    order = orders[0]
    front = rank[order]
    crowding = _crowding_distance(objectives, front, orders[:m])

    # Only the front that the cut goes through has to be looked at, and most often it is a small part of all.
    cut = front[n - 1]
    start, size, small = jnp.sum(front < cut), jnp.sum(front == cut), max(1, rows // 8)

    def kept_first(order: Int[Array, " part"], front: Int[Array, " part"]) -> Int[Array, " part"]:
        lonely = crowding[order]
        last = nth(-lonely, order, front == cut, n - 1 - start)
        lonelier = (lonely > crowding[last]) | ((lonely == crowding[last]) & (order <= last))
        return order[true_first((front < cut) | ((front == cut) & lonelier))]

    def part_kept_first() -> Int[Array, " rows"]:
        # At the end both slices move back alike, and what the part then has of better fronts stays first.
        part = [jax.lax.dynamic_slice_in_dim(whole, start, small) for whole in (order, front)]
        return jax.lax.dynamic_update_slice_in_dim(order, kept_first(*part), start, axis=0)

    order = jax.lax.cond(size <= small, part_kept_first, lambda: kept_first(order, front))
    return rank, crowding, order[:n]
