import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rwejax.correlating import statistics


@st.composite
def tied(draw):
    """Scores, accuracies and macs with ties."""
    n = draw(st.integers(5, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.integers(2, 50))
    truth = rng.integers(levels, size=n).astype(float)
    scores = truth + rng.integers(levels, size=n)
    truth[:2], scores[:2] = (0, 1), (0, 1)  # neither is constant
    return scores, truth, rng.integers(1, levels + 1, size=n)


@given(tied())
@settings(deadline=None)
def test_rank_correlations_equal_scipys(values):
    scores, truth, _ = values
    assert statistics.spearman(scores, truth) == pytest.approx(stats.spearmanr(scores, truth).statistic)
    assert statistics.kendall(scores, truth) == pytest.approx(stats.kendalltau(scores, truth).statistic)


@given(tied())
@settings(deadline=None)
def test_kendall_counts_pairs(values):
    scores, truth, _ = values
    first, second = (np.sign(side[:, None] - side) for side in (scores, truth))
    expected = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
    assert statistics.kendall(scores, truth) == pytest.approx(expected)


@given(tied())
@settings(deadline=None)
def test_what_is_left_of_ranks_without_macs_correlates_as_the_partial(values):
    scores, truth, macs = values
    ranks = [stats.rankdata(side) for side in (scores, truth, macs)]
    design = np.stack([ranks[2], np.ones(len(macs))], 1)
    rest = [side - design @ np.linalg.lstsq(design, side)[0] for side in ranks[:2]]
    found = statistics.partial_spearman(scores, truth, macs)
    if np.ptp(macs) == 0 or min(side.var() for side in rest) < 1e-9:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-6)


def test_quartiles_are_averaged():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 40))
    macs = rng.permutation(40)
    groups = np.argsort(macs).reshape(4, 10)
    expected = np.mean([stats.spearmanr(scores[group], truth[group]).statistic for group in groups])
    assert statistics.quartile_spearman(scores, truth, macs) == pytest.approx(expected)


def test_quartiles_without_a_correlation_are_left_out():
    scores, truth = np.array([0, 0, 0, 0, 1.0, 2, 3, 4, 5, 6, 7, 8]), np.arange(12.0)
    macs = np.repeat([1, 2, 3, 4], 3)
    assert statistics.quartile_spearman(scores, truth, macs) == pytest.approx(1)
    assert np.isnan(statistics.quartile_spearman(np.zeros(12), truth, macs))


def test_networks_of_equal_macs_stay_in_one_quartile():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 12))
    order = rng.permutation(12)
    macs = np.repeat([1, 2], 6)
    found = statistics.quartile_spearman(scores, truth, macs)
    halves = [stats.spearmanr(scores[half], truth[half]).statistic for half in (macs == 1, macs == 2)]
    assert found == pytest.approx(np.mean(halves))
    assert statistics.quartile_spearman(scores[order], truth[order], macs[order]) == pytest.approx(found)


def test_the_interval_is_scipys_bootstrap():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    scores = truth + rng.normal(size=60)
    expected = stats.bootstrap(
        (scores, truth),
        lambda first, second: stats.spearmanr(first, second).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = statistics.interval(scores, truth)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert low < statistics.spearman(scores, truth) < high
    assert statistics.interval(scores, truth) == (low, high), "the seed decides"
    assert statistics.interval(scores, truth, seed=1) != (low, high)


@given(tied())
@settings(deadline=None, max_examples=20)
def test_recall_is_the_mean_over_orders_of_the_tied(values):
    scores, truth, _ = values
    count = -(-len(truth) // 10)
    rng = np.random.default_rng(0)
    tops = []
    for side in (scores, truth):
        order = np.lexsort((rng.random((4000, len(side))), np.broadcast_to(side, (4000, len(side)))))
        tops.append(order[:, -count:])
    shared = [len(np.intersect1d(first, second)) for first, second in zip(*tops, strict=True)]
    assert statistics.top_recall(scores, truth) == pytest.approx(np.mean(shared) / count, abs=0.05)


def test_recall_of_a_known_case():
    truth = np.arange(20.0)
    assert statistics.top_recall(truth, truth) == 1
    assert statistics.top_recall(-truth, truth) == 0
    assert statistics.top_recall(np.where(truth == 18, 99, truth), truth) == 1
    assert statistics.top_recall(np.where(truth == 0, 99, truth), truth) == 0.5
    assert statistics.top_recall(np.zeros(20), truth) == pytest.approx(0.1)


@given(tied())
@settings(deadline=None, max_examples=10)
def test_only_ranks_count_and_the_sign_turns(values):
    scores, truth, macs = values
    found = statistics.measure(scores, truth, macs)
    np.testing.assert_equal(statistics.measure(np.exp(scores / 9), truth**3, macs * 7), found)
    turned = statistics.measure(-scores, truth, macs)
    for name in ("spearman", "kendall", "partial", "quartiles"):
        assert getattr(turned, name) == pytest.approx(-getattr(found, name), nan_ok=True)


def test_the_dead_rank_last_and_tie():
    truth = np.arange(12.0)
    dead = np.array([-np.inf, -np.inf, *range(10)])
    low = np.where(np.isinf(dead), -1e6, dead)
    expected = statistics.measure(low, truth, np.arange(12))
    assert statistics.measure(dead, truth, np.arange(12)) == pytest.approx(expected, nan_ok=True)
    nan = np.where(np.isinf(dead), np.nan, dead)
    assert statistics.measure(nan, truth, np.arange(12)) == pytest.approx(expected, nan_ok=True)
    assert expected.spearman < 1


def test_a_constant_has_no_correlation():
    truth = np.arange(12.0)
    for constant in (np.ones(12), np.full(12, -np.inf), np.full(12, np.nan)):
        found = statistics.measure(constant, truth, np.arange(12))
        assert np.isnan(found[:-1]).all()
        assert found.recall == pytest.approx(2 / 12)


def test_macs_say_nothing_beyond_macs():
    rng = np.random.default_rng(0)
    macs = rng.permutation(30)
    assert np.isnan(statistics.partial_spearman(macs * 2.0, rng.normal(size=30), macs))
