import itertools
from copy import copy
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax.evolve import GenomeSpace, distinct, sample_distinct
from rwejax.evolve.distinct import TRIES, fill_distinct, find, find_first, gene_bits, link, pack, relink


def all_forms(genes, values):
    return np.array(list(itertools.combinations_with_replacement(range(values), genes)), np.int32)


def as_set(genomes):
    return {tuple(genome) for genome in genomes.tolist()}


def test_toy_space_is_a_space(grid):
    assert isinstance(grid(2, 2), GenomeSpace)


@pytest.mark.parametrize("collide", [False, True])
def test_find_first_is_exact_even_if_every_hash_collides(monkeypatch, collide):
    if collide:
        monkeypatch.setattr(distinct, "_hash", lambda genomes, rows: jnp.zeros(len(genomes), jnp.int32))
    rng = np.random.default_rng(0)
    rows, queries = rng.integers(0, 3, (60, 3)), rng.integers(0, 3, (40, 3))
    counts = rng.random(60) < 0.7
    expected = [next((i for i in range(60) if counts[i] and (rows[i] == query).all()), -1) for query in queries]
    assert -1 in expected
    assert max(expected) > 0
    np.testing.assert_array_equal(find_first(jnp.asarray(queries), jnp.asarray(rows), jnp.asarray(counts)), expected)


def test_find_first_sees_nothing_where_no_row_counts():
    rows = jnp.zeros((5, 4), jnp.int32)
    np.testing.assert_array_equal(find_first(rows, rows, jnp.zeros(5, bool)), -1)


@pytest.mark.parametrize("mapped", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_rows_written_later_are_found_and_overwritten_ones_are_not(mapped):
    def run(rows):
        table, links = jnp.zeros((10, 2), jnp.int32), link(jnp.zeros((10, 2), jnp.int32), jnp.zeros(10, bool))
        found = []
        for start in range(0, 24, 4):  # the table is full from the third time on
            places = (start + jnp.arange(4)) % 10
            table = table.at[places].set(rows[start : start + 4])
            links = relink(links, table, places, jnp.int32(start + 4))
            found.append(find(rows, table, links))
        return jnp.stack(found)

    rows = jnp.asarray(np.random.default_rng(0).permutation(100)[:24, None] * np.array([1, 7]), jnp.int32)
    found = jax.vmap(run)(rows[None])[0] if mapped else run(rows)
    for row, places in zip(range(4, 28, 4), found.tolist(), strict=True):
        assert places == [i % 10 if row - 10 <= i < row else -1 for i in range(24)]


def test_hash_table_is_the_same_by_loop_and_by_sort():
    slot = jnp.asarray(np.random.default_rng(0).integers(0, 9, 40).astype(np.int32))
    links = np.asarray(distinct._chain_by_loop(slot, 9))
    np.testing.assert_array_equal(links, distinct._chain_by_sort(slot, 9))
    for value in range(9):
        row, chain = links[value], []
        while row >= 0:
            chain.append(row)
            row = links[9 + row]
        np.testing.assert_array_equal(chain, np.flatnonzero(slot == value))


@pytest.mark.parametrize("bits", [1, 3, 8, 16, 17, 32])
def test_packed_rows_are_equal_exactly_if_the_rows_are(bits):
    rows = np.random.default_rng(bits).integers(0, 2 ** min(bits, 30), (40, 35)).astype(np.int32)
    rows[1::2] = rows[::2]
    rows[np.arange(3, 40, 4), np.arange(10)] ^= 1
    packed = np.asarray(pack(jnp.asarray(rows), bits))
    assert packed.shape == (40, -(-35 // (32 // bits)))
    np.testing.assert_array_equal(
        (packed[:, None] == packed[None]).all(axis=2), (rows[:, None] == rows[None]).all(axis=2)
    )


def test_bits_hold_the_largest_gene(grid):
    assert [gene_bits(grid(3, values)) for values in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]
    space = copy(grid(3, 4))
    space.lower = space.lower.at[0].set(-1)
    assert gene_bits(space) == 32


def test_samples_are_distinct_in_canonical_form_and_within_bounds(grid):
    space, n = grid(3, 4), 20  # all there are, up to the order of genes
    genomes = sample_distinct(jax.random.key(0), space, n)
    assert genomes.dtype == jnp.int32
    assert genomes.shape == (n, 3)
    assert len(as_set(space.canonical(genomes))) == n
    assert bool(jnp.all((genomes >= space.lower) & (genomes <= space.upper)))
    assert bool(jnp.any(genomes != space.canonical(genomes))), "genomes come back as they were sampled"


def test_samples_avoid_the_part_of_the_archive_that_counts(grid):
    space, archive = grid(3, 4), all_forms(3, 4)
    genomes = sample_distinct(jax.random.key(0), space, 7, archive, 13)
    assert as_set(space.canonical(genomes)) == as_set(archive[13:])
    np.testing.assert_array_equal(sample_distinct(jax.random.key(0), space, 7, archive[:13]), genomes)


def test_space_smaller_than_n_gives_all_of_it_and_repeats(grid):
    space = grid(2, 2)
    genomes = sample_distinct(jax.random.key(0), space, 10)
    assert genomes.shape == (10, 2)
    assert as_set(space.canonical(genomes)) == {(0, 0), (0, 1), (1, 1)}


def test_used_up_space_gives_repeats_within_bounds(grid):
    space = grid(3, 4)
    genomes = sample_distinct(jax.random.key(0), space, 7, all_forms(3, 4), 20)
    assert bool(jnp.all((genomes >= space.lower) & (genomes <= space.upper)))
    assert len(as_set(genomes)) > 1


@pytest.mark.parametrize("missing", [0, 1])
def test_draws_no_more_proposals_than_it_needs(missing):
    drawn = []

    def propose(key):
        jax.debug.callback(drawn.append, 0)
        return jnp.arange(4)[:, None]

    taken = jnp.zeros((1, 1), int)
    genomes = fill_distinct(jax.random.key(0), propose, lambda g: g, taken, link(taken, jnp.array([missing > 0])))
    jax.effects_barrier()
    assert len(drawn) == (TRIES if missing else 1)
    assert as_set(genomes) == {(0,), (1,), (2,), (3,)}


@pytest.mark.slow
def test_larger_proposals_and_further_ones_fill_what_was_asked_for():
    sizes = []

    def propose(key, n):
        sizes.append(n)
        return jax.random.randint(key, (n, 3), 0, 16, jnp.int32)

    taken = pack(jnp.asarray(list(itertools.product(range(8), range(16), range(16)))), 4)
    genomes = fill_distinct(
        jax.random.key(0),
        lambda key: propose(key, 70),
        partial(pack, bits=4),
        taken,
        link(taken, jnp.arange(2048) < 1024),
        n=60,
        also_taken=pack(jnp.asarray(list(itertools.product(range(8, 12), range(16), range(16)))), 4),
        propose_more=lambda key: propose(key, 20),
    )
    assert set(sizes) == {70, 20}
    assert len(as_set(genomes)) == 60
    # Half of the first rows is free to come; of the second, nothing.
    assert all(4 <= genome[0] < 8 or genome[0] >= 12 for genome in as_set(genomes))


def test_large_numbers_of_samples_are_distinct(grid):
    space = grid(6, 8)  # of 1716 different genomes
    first = sample_distinct(jax.random.key(0), space, 600)
    second = sample_distinct(jax.random.key(1), space, 600, space.canonical(first))
    assert len(as_set(space.canonical(jnp.concatenate([first, second])))) == 1200


def test_same_key_same_samples(grid):
    space = grid(3, 4)
    one, again, other = (sample_distinct(jax.random.key(seed), space, 7) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert bool(jnp.any(one != other))


def test_random_search_compiles_once(grid):
    archive = jnp.zeros((30, 3), jnp.int32)
    sample_distinct(jax.random.key(0), grid(3, 4), 7, archive, 0)
    compiled = sample_distinct._cache_size()
    for count in (7, 14):
        sample_distinct(jax.random.key(count), grid(3, 4), 7, archive, count)
    assert sample_distinct._cache_size() == compiled
