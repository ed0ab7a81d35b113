"""No genome twice: proposals are drawn until they differ from each other and from what was seen before.

Two genomes are the same if their canonical forms are equal, that is, if they decode to one network.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Integer, PRNGKeyArray, Real

from rwejax.evolve.compiled import compiled
from rwejax.evolve.loops import by_loop
from rwejax.evolve.sorting import lexsort, true_first
from rwejax.genomes import integer_genomes

TRIES = 100
SMALL = 256  # genomes that take about as long as one


@runtime_checkable
class GenomeSpace(Protocol):
    """What the evolution needs to know of a search space."""

    @property
    def lower(self) -> Int[Array | np.ndarray, " genes"]:
        """(genes,) smallest value of each gene."""

    @property
    def upper(self) -> Int[Array | np.ndarray, " genes"]:
        """(genes,) largest value of each gene, inclusive."""

    def sample(self, key: PRNGKeyArray, n: int) -> Int[Array, "n genes"]:
        """Draws n genomes, int32.

        Args:
            key: a random key.
            n: how many genomes.
        """

    def canonical(self, genomes: Int[Array, "n genes"]) -> Int[Array, "n genes"]:
        """Maps genomes that decode to one network to one genome, within the bounds."""


def fill_distinct(
    key: PRNGKeyArray,
    propose: Callable[[PRNGKeyArray], Int[Array, "first genes"]],
    encode: Callable[[Int[Array, "n genes"]], Integer[Array, "n words"]],
    taken: Integer[Array, "rows words"],
    links: Int[Array, " links"],
    n: int | None = None,
    also_taken: Integer[Array, "others words"] | None = None,
    propose_more: Callable[[PRNGKeyArray], Int[Array, "few genes"]] | None = None,
) -> Int[Array, "n genes"]:
    """Draws proposals until there are n whose codes differ from each other and from the taken ones.

    Stops as soon as all n are found, and after `TRIES` proposals at the latest: the places still open are then filled
    with the last proposals whatever they are, so that a space that is used up never hangs.

    Args:
        key: a random key.
        propose: makes n genomes or more from a key.
        encode: maps (n, genes) genomes to codes, see `encode` in this module.
        taken: (rows, words) codes that must not come again.
        links: those of `link`, which say which of them count.
        n: how many genomes; by default as many as `propose` makes.
        also_taken: (others, words) more codes that must not come again; all of them count.
        propose_more: makes genomes for the places that the first proposal leaves open, usually fewer than n at a time;
            `propose` by default.

    Returns:
        (n, genes) genomes as they were proposed, not in canonical form.
    """
    shape = jax.eval_shape(propose, key)
    genes = shape.shape[1]
    n = n or shape.shape[0]
    others = taken[:0] if also_taken is None else also_taken

    def attempt(propose: Callable[[PRNGKeyArray], Int[Array, "few genes"]], carry: tuple) -> tuple:
        key, tries, genomes, codes, accepted = carry
        key, key_propose = jax.random.split(key)
        candidates = propose(key_propose)
        candidate_codes = encode(candidates)
        seen = jnp.concatenate([others, codes, candidate_codes])
        free = find(candidate_codes, taken, links) < 0
        counts = jnp.concatenate([jnp.ones((others.shape[0],), dtype=bool), accepted, free])
        # New is who is the first of its like. Whoever is taken does not count, and so is never found as itself.
        new = find_first(candidate_codes, seen, counts) == jnp.arange(seen.shape[0])[-candidates.shape[0] :]

        # Accepted rows move to the front. Refused candidates come next: they fill the places that stay open for good.
        flags = jnp.concatenate([new, accepted])
        best = true_first(flags)[:n]
        genomes = jnp.concatenate([candidates, genomes])[best]
        codes = jnp.concatenate([candidate_codes, codes])[best]
        return key, tries + 1, genomes, codes, flags[best]

    def goes_on(carry: tuple) -> Bool[Array, ""]:
        _, tries, _, _, accepted = carry
        return (tries < TRIES) & ~jnp.all(accepted)

    # A loop's carry keeps its shape, so that it starts with n places; a first attempt outside of it need not.
    places = n if propose_more is None else 0
    carry = (
        key,
        jnp.int32(0),
        jnp.zeros((places, genes), shape.dtype),
        jnp.zeros((places, others.shape[1]), others.dtype),
        jnp.zeros((places,), dtype=bool),
    )
    # Another proposal would be compiled apart from the first one, which takes seconds, so small sizes have only one.
    if propose_more is not None:
        carry = attempt(propose, carry)
    return jax.lax.while_loop(goes_on, partial(attempt, propose_more or propose), carry)[2]


def make_distinct(
    key: PRNGKeyArray,
    space: GenomeSpace,
    propose: Callable[..., Int[Array, "n genes"]],
    n: int,
    taken: Integer[Array, "rows words"],
    links: Int[Array, " links"],
    also_taken: Integer[Array, "others words"] | None = None,
) -> Int[Array, "n genes"]:
    """Calls `fill_distinct` with what suits a space and n; `propose` takes a key and a size by name, n.

    Args:
        key: a random key.
        space: gives the canonical forms; hashable.
        propose: called as `propose(key, n=size)`, makes (size, genes) genomes.
        n: how many genomes come out.
        taken: (rows, words) codes that must not come again.
        links: those of `link` for them, which say which count.
        also_taken: (others, words) more codes that must not come again; all of them count.
    """
    # Once populations are large, a first proposal of an eighth more costs less than a second one.
    first, more = (n, None) if n <= SMALL else (n + n // 8, partial(propose, n=max(SMALL, n // 4)))
    return fill_distinct(key, partial(propose, n=first), partial(encode, space), taken, links, n, also_taken, more)


def encode(space: GenomeSpace, genomes: Int[Array, "n genes"]) -> Integer[Array, "n words"]:
    """The canonical forms of genomes in a few words each, as which they are compared, moved and remembered.

    Args:
        space: gives the canonical forms.
        genomes: (n, genes) int32.
    """
    return pack(space.canonical(genomes), gene_bits(space))


def gene_bits(space: GenomeSpace) -> int:
    """How many bits hold any gene of a space; 32 where a gene may be negative."""
    with jax.ensure_compile_time_eval():  # bounds may be arrays of JAX, which under jit would be traced
        lower, upper = np.asarray(space.lower), np.asarray(space.upper)
    return 32 if lower.min() < 0 else max(1, int(upper.max()).bit_length())


def pack(rows: Int[Array, "n genes"], bits: int) -> Integer[Array, "n words"]:
    """Puts as many genes into a word of 32 bits as it holds; rows are equal exactly if their words are.

    Args:
        rows: (n, genes) integers from 0 to 2**bits - 1, or any at all where a word holds one gene.
        bits: how many hold a gene, see `gene_bits`.
    """
    per_word = 32 // bits
    if per_word == 1:
        return rows
    words = []
    for start in range(0, rows.shape[1], per_word):
        word = jnp.zeros((rows.shape[0],), dtype=jnp.uint32)
        for gene in range(start, min(start + per_word, rows.shape[1])):
            word = word << bits | rows[:, gene].astype(jnp.uint32)
        words.append(word)
    # Without the barrier, XLA would rather pack again than read what is packed.
    return jax.lax.optimization_barrier(jnp.stack(words, axis=1))


@compiled("space", "n")
def sample_distinct(
    key: PRNGKeyArray,
    space: GenomeSpace,
    n: int,
    archive: Real[Array | np.ndarray, "rows genes"] | None = None,
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

    Raises:
        InputError: if the archive is of floats.
    """
    forms = (
        jnp.zeros((0, len(space.lower)), dtype=jnp.int32) if archive is None else integer_genomes(archive, "archive")
    )
    count = forms.shape[0] if archive_count is None else archive_count
    taken = pack(forms, gene_bits(space))
    return make_distinct(key, space, space.sample, n, taken, link(taken, jnp.arange(taken.shape[0]) < count))


def find_first(
    queries: Integer[Array, "n genes"], rows: Integer[Array, "rows genes"], counts: Bool[Array, " rows"]
) -> Int[Array, " n"]:
    """Finds, for each query, the first row that counts and is equal to it, or -1.

    Args:
        queries: (n, genes) integers.
        rows: (rows, genes) integers.
        counts: (rows,) which rows are looked at.

    Returns:
        (n,) int32 indices into `rows`.
    """
    return find(queries, rows, link(rows, counts))


def link(rows: Integer[Array, "rows genes"], counts: Bool[Array, " rows"]) -> Int[Array, " links"]:
    """Puts rows into a hash table, in which `find` looks.

    Args:
        rows: (rows, genes) integers.
        counts: (rows,) which of them there are.

    Returns:
        (slots + rows,) int32: the first row of each slot, then, for each row, the next one of its slot; -1 for none.
    """
    slots = _slots(len(rows))
    if len(rows) == 0:
        return jnp.full((slots,), -1, dtype=jnp.int32)
    # The last slot, that no query has, is for the rows that do not count.
    chain = by_loop(partial(_chain_by_loop, slots=slots), partial(_chain_by_sort, slots=slots))
    return chain(jnp.where(counts, _hash(rows, len(rows)), slots - 1))


def relink(
    links: Int[Array, " links"], rows: Integer[Array, "rows genes"], places: Int[Array, " k"], count: Int[Array, ""]
) -> Int[Array, " links"]:
    """The links after new rows were written: those of `link`, but for the order within a slot, and quicker.

    Args:
        links: (slots + rows,) those before.
        rows: (rows, genes) integers, the new ones among them.
        places: (k,) indices of the new ones.
        count: only the first so many rows count; if they are more than there are, old ones were overwritten.
    """

    def anew(links: Array, rows: Array, places: Array, count: Array) -> Int[Array, " links"]:
        return link(rows, jnp.arange(len(rows)) < count)

    def add(links: Array, rows: Array, places: Array, count: Array) -> Int[Array, " links"]:
        slot, slots = _hash(rows[places], len(rows)), _slots(len(rows))

        def push(i: Int[Array, ""], links: Int[Array, " links"]) -> Int[Array, " links"]:
            links = links.at[slots + places[i]].set(links[slot[i]])
            return links.at[slot[i]].set(places[i])

        # A row that was overwritten is still linked where its old content was, and what is new does not tell where.
        return jax.lax.cond(
            count > len(rows),
            lambda: anew(links, rows, places, count),
            lambda: jax.lax.fori_loop(0, len(places), push, links),
        )

    return by_loop(add, anew)(links, rows, places, count)


def find(
    queries: Integer[Array, "n genes"], rows: Integer[Array, "rows genes"], links: Int[Array, " links"]
) -> Int[Array, " n"]:
    """Finds, for each query, the row that is equal to it, or -1: of several the one that its slot has first.

    The answer is exact: hashes only say where to look. Each query is compared, gene by gene, with the rows of its own
    slot one after another.

    Args:
        queries: (n, genes) integers.
        rows: (rows, genes) integers.
        links: those of `link`.

    Returns:
        (n,) int32 indices into `rows`.
    """
    if len(rows) == 0:
        return jnp.full((len(queries),), -1, dtype=jnp.int32)
    slots = _slots(len(rows))

    def walk(start: Int[Array, ""], query: Integer[Array, " genes"], rows: Array, links: Array) -> Int[Array, ""]:
        return jax.lax.while_loop(
            lambda row: (row >= 0) & jnp.any(rows[row] != query), lambda row: links[slots + row], start
        )

    def walk_in_turn(starts: Array, queries: Array, rows: Array, links: Array) -> Int[Array, " n"]:
        return jax.lax.map(lambda each: walk(each[0], each[1], rows, links), (starts, queries))

    walks = by_loop(walk_in_turn, jax.vmap(walk, in_axes=(0, 0, None, None)))
    return walks(links[_hash(queries, len(rows))], queries, rows, links)


def _slots(rows: int) -> int:
    """How many slots a table of so many rows has."""
    # A power of two, at least two a row, so that most slots hold one row or none; and one for rows that do not count.
    return (2 << max(rows - 1, 0).bit_length()) + 1


def _chain_by_loop(slot: Int[Array, " rows"], slots: int) -> Int[Array, " links"]:
    """Links the rows of each slot: (slots + rows,), the first row of each slot, then the row after each row, or -1."""
    n = slot.shape[0]

    def push(i: Int[Array, ""], links: Int[Array, " links"]) -> Int[Array, " links"]:
        row = n - 1 - i  # from the last to the first, which so comes to the head: `find_first` gives the first
        links = links.at[slots + row].set(links[slot[row]])
        return links.at[slot[row]].set(row)

    return jax.lax.fori_loop(0, n, push, jnp.full((slots + n,), -1, dtype=jnp.int32))


def _chain_by_sort(slot: Int[Array, " rows"], slots: int) -> Int[Array, " links"]:
    """The same."""
    n = slot.shape[0]
    order = lexsort((slot,))
    slot = slot[order]
    same = slot[1:] == slot[:-1]
    links = jnp.full((slots + n,), -1, dtype=jnp.int32)
    links = links.at[slots + order[:-1]].set(jnp.where(same, order[1:], -1))
    return links.at[jnp.where(jnp.insert(same, 0, False), slots + n, slot)].set(order, mode="drop")


def _hash(genomes: Integer[Array, "n genes"], rows: int) -> Int[Array, " n"]:
    """The slots in a table of so many rows: a polynomial in the genes, of which the upper bits are well mixed."""
    word = jnp.zeros((len(genomes),), dtype=jnp.uint32)
    for column in range(genomes.shape[1]):
        word = (word + genomes[:, column].astype(jnp.uint32)) * jnp.uint32(0x9E3779B1)  # Knuth, 6.4
    return (word >> (33 - _slots(rows).bit_length())).astype(jnp.int32)
