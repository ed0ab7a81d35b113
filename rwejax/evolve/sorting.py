"""Sorting by several keys, several times faster on a CPU than `jnp.lexsort`.

XLA sorts one array of integers natively, but calls a comparator for every pair as soon as an index travels along or a
key is a float. So keys and index are packed into words of 64 bits, the index lowest, and the words are sorted.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Real, UInt

Key = Real[Array, " n"] | Bool[Array, " n"]

_WORD = 64


def lexsort(keys: Sequence[Key], bits: Sequence[int] | None = None) -> Int[Array, " n"]:
    """The order that `jnp.lexsort` gives: by the last key, then by the one before it, ..., then by place.

    Args:
        keys: (n,) each, the most important last.
        bits: for each key, 32, or less as a promise that it holds integers from 0 to 2**bits - 1; 32 by default. One
            sort serves for as many keys as fit into 64 bits together with an index.

    Returns:
        (n,) int32 indices.
    """
    n = keys[0].shape[0]
    index_bits = max(n - 1, 1).bit_length()
    groups: list[list[tuple[Array, int]]] = []
    free = 0
    for key, width in zip(keys, bits or [32] * len(keys), strict=True):
        if width > free:
            groups.append([])
            free = _WORD - index_bits
        groups[-1].append((as_unsigned(key) if width == 32 else key.astype(jnp.uint32), width))
        free -= width

    order = _argsort(groups[0], index_bits)
    for group in groups[1:]:
        order = order[_argsort([(key[order], width) for key, width in group], index_bits)]
    return order


def true_first(flags: Bool[Array, " n"]) -> Int[Array, " n"]:
    """The indices of the true flags, then those of the others, without sorting."""
    count, row = jnp.cumsum(flags), jnp.arange(flags.shape[0])
    place = jnp.where(flags, count - 1, flags.sum() + row - count)
    return jnp.zeros_like(row).at[place].set(row, unique_indices=True)


def first_of(keys: Sequence[Key]) -> Int[Array, ""]:
    """The first index in the order that `lexsort` gives, without sorting."""
    remaining = jnp.ones(keys[0].shape, dtype=bool)
    for key in map(as_unsigned, reversed(keys)):
        lowest = jnp.min(key, where=remaining, initial=jnp.uint32(0xFFFFFFFF))
        remaining &= key == lowest
    return jnp.argmax(remaining)


def _argsort(keys: Sequence[tuple[UInt[Array, " n"], int]], index_bits: int) -> Int[Array, " n"]:
    with jax.enable_x64(True):  # for the words alone: no array of 64 bits leaves
        words = jnp.arange(keys[0][0].shape[0], dtype=jnp.uint64)
        shift = index_bits
        for key, width in keys:
            words |= key.astype(jnp.uint64) << shift
            shift += width
        return (jnp.sort(words) & ((1 << index_bits) - 1)).astype(jnp.int32)


def as_unsigned(values: Key) -> UInt[Array, " n"]:
    """Maps numbers to uint32 in the same order; the two zeros become equal, and every NaN the largest of floats.

    Numbers of 64 bits are replaced by their places in the sorted array.
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
