from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rwejax.evolve import mutate, tournament, two_point_crossover, variation


def test_tournament_asks_rank_first_then_crowding():
    rank = jnp.array([1, 0, 0, 2])
    crowding = jnp.array([jnp.inf, 1.0, 2.0, jnp.inf])
    wins = np.bincount(tournament(jax.random.key(0), rank, crowding, 12_000), minlength=4) / 12_000
    # Of the six pairs, row 2 wins the three it is in, row 1 two, row 0 one.
    np.testing.assert_allclose(wins, [1 / 6, 2 / 6, 3 / 6, 0], atol=0.02)


@pytest.mark.parametrize("n", [2, 4])
def test_tournament_breaks_ties_at_random(n):
    wins = np.bincount(tournament(jax.random.key(0), jnp.zeros(n, int), jnp.full(n, jnp.inf), 12_000), minlength=n)
    np.testing.assert_allclose(wins / 12_000, 1 / n, atol=0.02)


def test_crossover_takes_one_stretch_of_the_second_parent():
    genes, n = 6, 6000
    child = two_point_crossover(jax.random.key(0), jnp.zeros((n, genes), int), jnp.ones((n, genes), int), 1.0)
    child = np.asarray(child)
    switches = np.abs(np.diff(child, axis=1, prepend=0, append=0)).sum(axis=1)
    np.testing.assert_array_equal(switches, 2)
    # Every pair of boundaries, of genes * (genes - 1) / 2, is as likely as any other.
    patterns, counts = np.unique(child, axis=0, return_counts=True)
    assert len(patterns) == 15
    np.testing.assert_allclose(counts / n, 1 / 15, atol=0.015)


def test_crossover_rate_is_the_share_of_pairs_that_cross():
    first, second = jnp.zeros((4000, 5), int), jnp.ones((4000, 5), int)
    for rate in (0.0, 0.3):
        crossed = two_point_crossover(jax.random.key(1), first, second, rate).any(axis=1).mean()
        np.testing.assert_allclose(crossed, rate, atol=0.03)


def test_crossover_of_a_single_gene_copies_the_first_parent():
    child = two_point_crossover(jax.random.key(0), jnp.zeros((9, 1), int), jnp.ones((9, 1), int), 1.0)
    np.testing.assert_array_equal(child, 0)


def test_mutation_draws_every_other_value_alike():
    lower, upper = np.array([0, -2, 5]), np.array([1, 1, 5])
    genomes = jnp.tile(jnp.array([[1, 0, 5]], jnp.int32), (8000, 1))
    mutants = np.asarray(mutate(jax.random.key(0), genomes, lower, upper, 0.25))
    assert mutants.dtype == np.int32
    np.testing.assert_allclose((mutants[:, 0] == 0).mean(), 0.25, atol=0.02)
    for value in (-2, -1, 1):
        np.testing.assert_allclose((mutants[:, 1] == value).mean(), 0.25 / 3, atol=0.015)
    np.testing.assert_allclose((mutants[:, 1] == 0).mean(), 0.75, atol=0.02)
    np.testing.assert_array_equal(mutants[:, 2], 5)


@pytest.mark.parametrize("rate", [0.001, 1 / 12, 0.5])
def test_mutation_is_as_many_independent_trials_as_genes(rate):
    n, genes = 20_000, 12
    mutants = mutate(
        jax.random.key(0), jnp.zeros((n, genes), jnp.int32), np.zeros(genes, int), np.ones(genes, int), rate
    )
    changed = np.asarray(mutants, bool)
    # A round of draws finds n genes and some; ten times as many change at the rate of a half.
    count = stats.binom(genes, rate)
    seen = np.bincount(changed.sum(axis=1), minlength=genes + 1)
    kept = n * count.pmf(np.arange(genes + 1)) > 5
    expected = np.append(n * count.pmf(np.flatnonzero(kept)), n * count.pmf(np.flatnonzero(~kept)).sum())
    assert stats.chisquare(np.append(seen[kept], seen[~kept].sum()), expected).pvalue > 1e-3
    assert stats.chisquare(changed.sum(axis=0)).pvalue > 1e-3
    both = (changed[:, 1:] & changed[:, :-1]).mean()
    np.testing.assert_allclose(both, rate**2, atol=4 * rate / np.sqrt(n * genes))


@pytest.mark.parametrize("n", [0, 1])
def test_few_genomes_are_mutated(n):
    genomes = jnp.zeros((n, 3), jnp.int32)
    np.testing.assert_array_equal(
        mutate(jax.random.key(0), genomes, np.zeros(3, int), np.ones(3, int), 1.0), genomes + 1
    )


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_mutation_at_the_ends_of_the_rate(rate):
    lower, upper = np.zeros(7, int), np.arange(1, 8)
    genomes = jax.random.randint(jax.random.key(0), (50, 7), lower, upper + 1)
    mutants = mutate(jax.random.key(1), genomes, lower, upper, rate)
    assert bool(jnp.all((mutants != genomes) == (rate == 1.0)))
    assert bool(jnp.all((mutants >= lower) & (mutants <= upper)))


def test_same_key_same_children():
    genomes = jax.random.randint(jax.random.key(0), (20, 8), 0, 4)
    bounds = np.zeros(8, int), np.full(8, 3)
    for seed in (1, 2):
        key = jax.random.key(seed)
        np.testing.assert_array_equal(mutate(key, genomes, *bounds, 0.5), mutate(key, genomes, *bounds, 0.5))
        again = two_point_crossover(key, genomes, genomes[::-1], 0.9)
        np.testing.assert_array_equal(two_point_crossover(key, genomes, genomes[::-1], 0.9), again)
    one, other = (mutate(jax.random.key(seed), genomes, *bounds, 0.5) for seed in (1, 2))
    assert bool(jnp.any(one != other))


@pytest.mark.parametrize("n", [1, 32, 100])
def test_words_drawn_in_steps_are_those_of_one_draw(n):
    state = jnp.array([1, 2, 3, 4], jnp.uint32)
    algorithm = jax.lax.RandomAlgorithm.RNG_THREE_FRY
    _, expected = jax.lax.rng_bit_generator(state, (192,), algorithm=algorithm)
    next_state, words = variation._draw(state, n)
    np.testing.assert_array_equal(words, expected[:n])
    _, more = variation._draw(next_state, 64)
    start = -(-n // 32) * 32  # whole steps are drawn
    np.testing.assert_array_equal(more, expected[start : start + 64])


def test_mapped_draws_are_those_of_each_state():
    states = jnp.arange(12, dtype=jnp.uint32).reshape(3, 4)
    _, words = jax.vmap(partial(variation._draw, n=50))(states)
    np.testing.assert_array_equal(words, jnp.stack([variation._draw(state, 50)[1] for state in states]))
