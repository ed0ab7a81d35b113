"""Sorting by several keys, several times faster on a CPU than `jnp.lexsort`.

XLA sorts one array of integers natively, but calls a comparator for every pair as soon as an index travels along or a
key is a float. So keys and index are packed into words of 64 bits, the index lowest, and the words are sorted.
"""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Real, UInt

from rwejax.evolve.loops import by_loop

Key = Real[Array, " n"] | Bool[Array, " n"]

_LARGEST = np.uint32(0xFFFFFFFF)


def lexsort(keys: Sequence[Key]) -> Int[Array, " n"]:
    """The order that `jnp.lexsort` gives: by the last key, then by the one before it, ..., then by place.

    One sort serves for all keys if what they range over fits into 64 bits together with an index, which is so for most;
    else each key takes a sort.

    Args:
        keys: (n,) each, the most important last.

    Returns:
        (n,) int32 indices.
    """
    if len(keys) == 1:
        return _argsort([as_unsigned(keys[0])], [32])
    # What a key ranges over decides, not what its type could hold: ranks take few bits, floats almost all.
    words = [word - jnp.min(word, initial=_LARGEST) for word in map(as_unsigned, keys)]
    widths = [32 - jax.lax.clz(jnp.max(word, initial=0)).astype(jnp.int32) for word in words]
    return jax.lax.cond(
        sum(widths) + _index_bits(words[0]) <= 64,
        lambda: _argsort(words, widths),
        # By the least important key first: each sort keeps the order of equals, as the index is part of the words.
        lambda: reduce(lambda order, word: order[lexsort([word[order]])], words[1:], lexsort(words[:1])),
    )


def nth(key: Key, row: Int[Array, " n"], among: Bool[Array, " n"], place: int | Int[Array, ""]) -> Int[Array, ""]:
    """The row that comes at a place, counted from 0, when those among which it is are sorted by key and then row.

    Args:
        key: (n,) what is sorted by first.
        row: (n,) indices that are not negative, which tell equal keys apart.
        among: (n,) which entries are sorted.
        place: from 0, below the number of those.
    """
    with jax.enable_x64(True):
        words = as_unsigned(key).astype(jnp.uint64) << 32 | row.astype(jnp.uint64)
        return jnp.sort(jnp.where(among, words, jnp.uint64(2**64 - 1)))[place].astype(jnp.int32)


def true_first(flags: Bool[Array, " n"]) -> Int[Array, " n"]:
    """The indices of the true flags, then those of the others, without sorting."""
    count, row = cumsum(flags.astype(jnp.int32)), jnp.arange(flags.shape[0], dtype=jnp.int32)
    place = jnp.where(flags, count - 1, flags.sum() + row - count)
    return jnp.zeros_like(row).at[place].set(row, unique_indices=True)


def cumsum(values: Int[Array, " n"]) -> Int[Array, " n"]:
    """The running sum."""

    def loop(values: Int[Array, " n"]) -> Int[Array, " n"]:
        return jax.lax.scan(lambda total, value: (total + value,) * 2, jnp.int32(0), values)[1]

    return by_loop(loop, jnp.cumsum)(values)


def _argsort(keys: Sequence[UInt[Array, " n"]], widths: Sequence[int | Int[Array, ""]]) -> Int[Array, " n"]:
    """By keys of as many bits as given, which fit into one word with an index."""
    with jax.enable_x64(True):  # for the words alone: no array of 64 bits leaves
        words = jnp.arange(keys[0].shape[0], dtype=jnp.uint64)
        shift = jnp.uint64(_index_bits(keys[0]))
        for key, width in zip(keys, widths, strict=True):
            words |= key.astype(jnp.uint64) << shift
            shift += jnp.uint64(width)
        return (jnp.sort(words) & ((1 << _index_bits(keys[0])) - 1)).astype(jnp.int32)


def _index_bits(key: Key) -> int:
    return max(key.shape[0] - 1, 1).bit_length()


def as_unsigned(values: Key) -> UInt[Array, " n"]:
    """Maps numbers to uint32 in the same order; the two zeros become equal, and every NaN the largest of floats.

    Numbers of 64 bits are replaced by their places in the sorted array.

    Args:
        values: (n,) integers, floats or booleans.
    """
    if values.dtype.itemsize > 4:
        return jnp.searchsorted(jnp.sort(values), values).astype(jnp.uint32)
    if jnp.issubdtype(values.dtype, jnp.signedinteger):
        return values.astype(jnp.int32).astype(jnp.uint32) ^ jnp.uint32(1 << 31)
    if jnp.issubdtype(values.dtype, jnp.floating):
        # A sign and a magnitude, compared as integers: the processor may take very small floats for zeros.
        word = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.uint32)
        sign, infinity = jnp.uint32(1 << 31), jnp.uint32(0x7F800000)
        magnitude = word & ~sign
        negative = (word >= sign) & (magnitude > 0) & (magnitude <= infinity)
        return jnp.where(negative, ~word, sign | jnp.minimum(magnitude, infinity + 1))
    return values.astype(jnp.uint32)
