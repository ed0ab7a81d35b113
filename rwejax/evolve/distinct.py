"""No genome twice: proposals are drawn until they differ from each other and from what was seen before.

Two genomes are the same if their canonical forms are equal, that is, if they decode to one network.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray, UInt

TRIES = 100


@runtime_checkable
class Space(Protocol):
    """What the evolution needs to know of a search space."""

    @property
    def lower(self) -> Int[Array | np.ndarray, " genes"]:
        """(genes,) smallest value of each gene."""

    @property
    def upper(self) -> Int[Array | np.ndarray, " genes"]:
        """(genes,) largest value of each gene, inclusive."""

    def sample(self, key: PRNGKeyArray, n: int) -> Int[Array, "n genes"]:
        """Draws n genomes, int32."""

    def canonical(self, genomes: Int[Array, "n genes"]) -> Int[Array, "n genes"]:
        """Maps genomes that decode to one network to one genome."""


def fill_distinct(
    key: PRNGKeyArray,
    propose: Callable[[PRNGKeyArray], Int[Array, "n genes"]],
    canonical: Callable[[Int[Array, "n genes"]], Int[Array, "n genes"]],
    taken: Int[Array, "rows genes"],
    taken_count: int | Int[Array, ""],
) -> Int[Array, "n genes"]:
    """Draws proposals until there are n that differ, in canonical form, from each other and from the taken rows.

    Stops as soon as all n are found, and after `TRIES` proposals at the latest: the places still open are then filled
    with the last proposals whatever they are, so that a space that is used up never hangs.

    Args:
        key: a random key.
        propose: makes n genomes from a key.
        canonical: maps (n, genes) genomes to their canonical forms.
        taken: (rows, genes) canonical forms that must not come again.
        taken_count: only the first so many of them count.

    Returns:
        (n, genes) genomes as they were proposed, not in canonical form.
    """
    shape = jax.eval_shape(propose, key)
    n = shape.shape[0]
    is_taken = jnp.arange(taken.shape[0]) < taken_count

    def attempt(carry: tuple) -> tuple:
        key, tries, genomes, forms, accepted = carry
        key, key_propose = jax.random.split(key)
        candidates = propose(key_propose)
        candidate_forms = canonical(candidates)
        seen = jnp.concatenate([taken, forms, candidate_forms])
        counts = jnp.concatenate([is_taken, accepted, jnp.ones((n,), dtype=bool)])
        first = find_first(candidate_forms, seen, counts)
        new = first == jnp.arange(seen.shape[0] - n, seen.shape[0])

        # Accepted rows move to the front. Refused candidates come next: they fill the places that stay open for good.
        flags = jnp.concatenate([new, accepted])
        best = jnp.argsort(~flags)[:n]
        genomes = jnp.concatenate([candidates, genomes])[best]
        forms = jnp.concatenate([candidate_forms, forms])[best]
        return key, tries + 1, genomes, forms, flags[best]

    def goes_on(carry: tuple) -> Bool[Array, ""]:
        _, tries, _, _, accepted = carry
        return (tries < TRIES) & ~jnp.all(accepted)

    nothing = jnp.zeros(shape.shape, shape.dtype)
    start = (key, jnp.int32(0), nothing, nothing, jnp.zeros((n,), dtype=bool))
    return jax.lax.while_loop(goes_on, attempt, start)[2]


@partial(jax.jit, static_argnames=("space", "n"))
def sample_distinct(
    key: PRNGKeyArray,
    space: Space,
    n: int,
    archive: Int[Array | np.ndarray, "rows genes"] | None = None,
    archive_count: int | Int[Array, ""] | None = None,
) -> Int[Array, "n genes"]:
    """Samples n genomes of a space that differ, in canonical form, from each other and from an archive.

    Where 100 samples of n do not hold enough of them, the rest of the n are repeats.

    Args:
        key: a random key.
        space: where to sample; hashable, for the function is compiled once per space and n.
        n: how many genomes.
        archive: (rows, genes) canonical forms that must not come again; none by default.
        archive_count: only the first so many rows of the archive count; all by default.

    Returns:
        (n, genes) int32 genomes, not in canonical form.
    """
    taken = jnp.zeros((0, len(space.lower)), dtype=jnp.int32) if archive is None else jnp.asarray(archive)
    count = taken.shape[0] if archive_count is None else archive_count
    return fill_distinct(key, lambda key_sample: space.sample(key_sample, n), space.canonical, taken, count)


def find_first(
    queries: Int[Array, "n genes"], rows: Int[Array, "rows genes"], counts: Bool[Array, " rows"]
) -> Int[Array, " n"]:
    """Finds, for each query, the first row that counts and is equal to it, or -1.

    The answer is exact: hashes only say where to look. The rows are sorted by hash, and each query is compared, gene by
    gene, with the rows of its own hash one after another.

    Args:
        queries: (n, genes) integers.
        rows: (rows, genes) integers, at least one row.
        counts: (rows,) which rows are looked at.

    Returns:
        (n,) int32 indices into `rows`.
    """
    # Rows that do not count get a hash that no query has; else thousands of them could share a query's hash.
    hashes = jnp.where(counts, _hash(rows), jnp.uint32(0xFFFFFFFF))
    order = jnp.argsort(hashes)
    hashes = hashes[order]
    wanted = _hash(queries)

    def look(carry: tuple) -> tuple:
        place, found, searching = carry
        row = order[place]
        searching = searching & (hashes[place] == wanted)
        equal = searching & jnp.all(rows[row] == queries, axis=1)
        found = jnp.where(equal, row.astype(jnp.int32), found)
        following = jnp.minimum(place + 1, rows.shape[0] - 1)
        return following, found, searching & ~equal & (following > place)

    n = queries.shape[0]
    place = jnp.minimum(jnp.searchsorted(hashes, wanted), rows.shape[0] - 1)
    start = (place, jnp.full((n,), -1, dtype=jnp.int32), jnp.ones((n,), dtype=bool))
    return jax.lax.while_loop(lambda carry: jnp.any(carry[2]), look, start)[1]


def _hash(rows: Int[Array, "rows genes"]) -> UInt[Array, " rows"]:
    """31 bits a row: the sum of each gene's value, set apart by its position and stirred by murmur3's finaliser."""
    golden = jnp.uint32(0x9E3779B9)
    bits = rows.astype(jnp.uint32) + golden * jnp.arange(rows.shape[1], dtype=jnp.uint32)
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return jnp.sum(bits ^ (bits >> 16), axis=1, dtype=jnp.uint32) >> 1
