import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax.evolve import Space, distinct, sample_distinct
from rwejax.evolve.distinct import TRIES, fill_distinct, find_first


def all_forms(genes, values):
    return np.array(list(itertools.combinations_with_replacement(range(values), genes)), np.int32)


def as_set(genomes):
    return {tuple(genome) for genome in genomes.tolist()}


def test_toy_space_is_a_space(grid):
    assert isinstance(grid(2, 2), Space)


@pytest.mark.parametrize("collide", [False, True])
def test_find_first_is_exact_even_if_every_hash_collides(monkeypatch, collide):
    if collide:
        monkeypatch.setattr(distinct, "_hash", lambda rows: jnp.zeros(rows.shape[0], jnp.uint32))
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

    genomes = fill_distinct(jax.random.key(0), propose, lambda g: g, jnp.zeros((1, 1), int), taken_count=missing)
    jax.effects_barrier()
    assert len(drawn) == (TRIES if missing else 1)
    assert as_set(genomes) == {(0,), (1,), (2,), (3,)}


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
