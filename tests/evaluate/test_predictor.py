import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import Ridge

from rwejax import InputError, spaces
from rwejax.evaluate import bayesian_ridge, choosing, predictor, trust, untrained
from rwejax.evaluate.untrained import Table

N = 200


def problem(seed=0, n=N, noise=0.1):
    """A prior of little worth, scores of which two matter, counts, and errors in %."""
    rng = np.random.default_rng(seed)
    scores, counts = rng.normal(size=(n, 5)), rng.integers(0, 5, (n, 4))
    goodness = 2 * scores[:, 0] - scores[:, 1] + counts[:, 0] + noise * rng.normal(size=n)
    prior = scores[:, 0] + rng.normal(size=n)
    return Table(prior, scores, counts), 40 - 2 * goodness, rng.permutation(n)


def spearman(first, second):
    return stats.spearmanr(first, second).statistic


def test_without_labels_the_order_is_the_priors():
    table, _, _ = problem()
    found = predictor.fit(table, [], []).predict(table)
    assert (np.argsort(found.normal) == np.argsort(table.prior)).all()
    assert (found.normal_std == 1).all()
    assert np.isnan(found.error).all()
    assert np.isnan(found.std).all()


def test_one_label_moves_the_order_little_and_many_do():
    scores = np.random.default_rng(1).normal(size=(N, 3))
    table, errors = Table(scores[:, 0], scores, np.zeros((N, 0))), 50 + 10 * scores[:, 0]  # the prior is wrong in sign
    one = predictor.fit(table, [7], errors[[7]]).predict(table)
    many = predictor.fit(table, np.arange(32), errors[:32]).predict(table)
    assert spearman(one.normal, table.prior) > 0.9
    assert spearman(many.normal, table.prior) < -0.9


def test_a_linear_truth_is_recovered_and_a_prior_alone_does_not():
    table, errors, order = problem()
    labelled, rest = order[:32], order[32:]
    found = predictor.fit(table, labelled, errors[labelled]).predict(table)
    assert spearman(found.normal[rest], -errors[rest]) > 0.9 > spearman(table.prior[rest], -errors[rest]) + 0.2
    assert np.abs(found.error - errors)[rest].mean() < 0.7 * np.abs(errors - errors.mean())[rest].mean()


def test_nine_tenths_of_the_errors_lie_within_1_645_std():
    inside = []
    for seed in range(10):
        table, errors, order = problem(seed, noise=1.5)
        found = predictor.fit(table, order[:24], errors[order[:24]]).predict(table)
        inside.append(np.abs(found.error - errors)[order[24:]] < 1.645 * found.std[order[24:]])
    assert 0.8 < np.mean(inside) < 0.97


@given(st.integers(2, 48), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_errors_are_percentages_in_the_order_of_the_normal_scores(count, seed):
    table, _, order = problem(seed % 7)
    errors = np.random.default_rng(seed).uniform(0, 100, count)
    found = predictor.fit(table, order[:count], errors).predict(table)
    best_first = np.argsort(-found.normal)
    assert (np.diff(found.error[best_first]) >= 0).all()
    assert (found.error >= 0).all()
    assert (found.error <= 100).all()
    assert (found.std >= 0).all()


def test_networks_tie_in_error_only_where_they_tie_in_normal_scores():
    table, errors, order = problem()
    found = predictor.fit(table, order[:6], errors[order[:6]]).predict(table)
    assert len(np.unique(found.error)) == len(np.unique(found.normal)) == N


def test_a_label_that_is_its_own_quantile_gets_its_error_back():
    table, errors, order = problem()
    fitted = predictor.fit(table, order[:12], errors[order[:12]])
    assert sorted(fitted._error(fitted.knots)) == pytest.approx(sorted(errors[order[:12]]))


def test_equal_errors_order_networks_though_they_have_no_scale():
    table, _, order = problem()
    found = predictor.fit(table, order[:5], np.full(5, 30.0)).predict(table)
    assert np.isnan(found.error).all()
    assert len(np.unique(found.normal)) == N


def test_permuted_rows_and_labels_give_the_same():
    table, errors, order = problem()
    labelled = order[:16]
    found = predictor.fit(table, labelled, errors[labelled]).predict(table)
    moved = np.random.default_rng(5).permutation(N)
    place = np.argsort(moved)
    other = predictor.fit(Table(*(part[moved] for part in table)), place[labelled[::-1]], errors[labelled[::-1]])
    np.testing.assert_allclose(other.predict(table).normal, found.normal, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.predict(table).error, found.error, rtol=1e-9)


def test_units_do_not_matter():
    table, errors, order = problem()
    labelled = order[:16]
    other = Table(np.exp(table.prior), table.scores**3, 10 * table.counts + 3)
    found, same = (predictor.fit(each, labelled, errors[labelled]).predict(each) for each in (table, other))
    np.testing.assert_array_equal(found.normal, same.normal)


def test_dead_networks_have_a_prediction_and_move_no_other_rank():
    table, errors, order = problem()
    labelled = order[:16]
    dead = order[-3:]
    for value in (np.nan, -np.inf):
        scores, prior = table.scores.copy(), table.prior.copy()
        scores[dead], prior[dead] = value, value
        broken = Table(prior, scores, table.counts)
        found = predictor.fit(broken, labelled, errors[labelled]).predict(broken)
        assert all(np.isfinite(part).all() for part in found)
        assert spearman(found.normal[order[16:-3]], -errors[order[16:-3]]) > 0.8


def test_a_network_that_diverged_counts_as_the_worst():
    table, errors, order = problem()
    labelled = order[:16]
    worst = errors[labelled].argmax()
    diverged = errors[labelled].copy()
    diverged[worst] = np.nan
    found, plain = (predictor.fit(table, labelled, each).predict(table) for each in (diverged, errors[labelled]))
    np.testing.assert_array_equal(found.normal, plain.normal)
    assert np.isfinite(found.error).all()
    left_out = predictor.fit(table, np.delete(labelled, worst), np.delete(diverged, worst)).predict(table)
    assert left_out.normal[labelled[worst]] > found.normal[labelled[worst]]


def test_constant_columns_change_nothing_but_the_share_of_a_block():
    table, errors, order = problem()
    constant = np.ones((N, 1))
    for part in ("scores", "counts"):
        wider = table._replace(**{part: np.concatenate([getattr(table, part), constant], 1)})
        fitted = predictor.fit(wider, order[:16], errors[order[:16]])
        column = 1 + 5 if part == "scores" else -1
        assert np.abs(fitted.posterior.weights[:, column]).max() < 1e-12


def test_new_networks_are_predicted_by_the_ranks_that_they_would_have():
    table, errors, order = problem()
    fitted = predictor.fit(table, order[:16], errors[order[:16]])
    found = fitted.predict(table).normal
    beyond = Table(*(part.max(0, keepdims=True) + 1 for part in table))
    at_most = fitted.predict(Table(*(part.max(0, keepdims=True) for part in table))).normal
    assert fitted.predict(Table(*(part[3:5] for part in table))).normal == pytest.approx(found[3:5])
    assert fitted.predict(beyond).normal == pytest.approx(at_most, abs=1.0)


def test_chosen_labels_stand_where_the_prior_lets_expect_them():
    table, errors, _ = problem()
    top = np.argsort(-table.prior)[:20]
    chosen = predictor.fit(table, top, errors[top])
    assert 0.3 < chosen.knots.mean() < 1.5
    everywhere = predictor.fit(table, np.arange(N), errors)
    assert everywhere.knots.mean() == pytest.approx(0, abs=0.01)
    assert everywhere.knots.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("labelled", "errors", "words"),
    [
        ([1, 2], [3.0], "labelled has 2 rows and errors 1: give one error"),
        ([N], [3.0], f"labelled has {N}, but the table has rows 0 to {N - 1}"),
        ([-1], [3.0], "labelled has -1"),
        ([4, 4], [3.0, 3.0], "labelled has one row twice"),
        ([4, 5], [3.0, 100.5], "errors has 100.5: give errors in %, 0 to 100"),
    ],
)
def test_bad_labels_are_named(labelled, errors, words):
    with pytest.raises(InputError, match=words):
        predictor.fit(problem()[0], labelled, errors)


def test_a_table_of_other_columns_is_refused():
    table, errors, _ = problem()
    fitted = predictor.fit(table, [0, 1], errors[:2])
    with pytest.raises(InputError, match="table has 9 columns: give the 10"):
        fitted.predict(table._replace(counts=table.counts[:, 1:]))


def test_ridge_equals_scikit_learns_at_each_ratio():
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(30, 6)), rng.normal(size=30), rng.uniform(0.1, 1, 30)
    found = bayesian_ridge.fit(x, y, weights)
    for ratio, mine in zip(bayesian_ridge.RATIOS, found.weights, strict=True):
        plain = Ridge(1 / ratio, fit_intercept=False).fit(x, y, sample_weight=weights)
        np.testing.assert_allclose(mine, plain.coef_, rtol=1e-8)


@pytest.mark.parametrize("columns", [6, 50])
def test_evidence_is_that_of_a_student_t_distribution(columns):
    """The marginal of the conjugate model, whose scale matrix is rate / shape (1 + r x x')."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, columns)), rng.normal(size=12)
    found = bayesian_ridge.fit(x, y, np.ones(12))
    logs = [
        stats.multivariate_t(shape=(np.eye(12) + ratio * x @ x.T) / 2, df=4).logpdf(y)
        for ratio in bayesian_ridge.RATIOS
    ]
    np.testing.assert_allclose(found.evidence, np.exp(logs) / np.exp(logs).sum(), rtol=1e-8)


def test_variance_is_the_gaussian_processs():
    rng = np.random.default_rng(0)
    x, y, new = rng.normal(size=(9, 20)), rng.normal(size=9), rng.normal(size=(4, 20))
    found = bayesian_ridge.fit(x, y, np.ones(9))
    mean, variance = [], []
    for ratio, noise in zip(bayesian_ridge.RATIOS, found.noise, strict=True):
        inverse = np.linalg.inv(np.eye(9) + ratio * x @ x.T)
        across = ratio * new @ x.T
        mean.append(across @ inverse @ y)
        variance.append(noise * (1 + ratio * (new**2).sum(1) - (across @ inverse * across).sum(1)))
    mixed = found.evidence @ np.array(mean)
    spread = found.evidence @ (np.array(variance) + (np.array(mean) - mixed) ** 2)
    np.testing.assert_allclose(found.predict(new)[0], mixed, rtol=1e-8)
    np.testing.assert_allclose(found.predict(new)[1], np.sqrt(spread), rtol=1e-8)


def test_leave_one_out_equals_refitting_in_any_order_of_the_labels():
    table, errors, order = problem()
    labelled = order[:10]
    found = predictor.leave_one_out(table, labelled, errors[labelled])
    for place in range(10):
        rest = np.delete(labelled, place)
        plain = predictor.fit(table, rest, errors[rest]).predict(table)
        assert [part[place] for part in found] == pytest.approx([part[labelled[place]] for part in plain])
    assert trust.check(table, labelled, errors[labelled]).predictor.spearman == pytest.approx(
        spearman(found.normal, -errors[labelled])
    )


def test_labels_that_know_nothing_have_no_leave_one_out_correlation_on_average():
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = Table(rng.normal(size=60), rng.normal(size=(60, 4)), np.zeros((60, 0)))
        found.append(trust.check(table, np.arange(12), rng.uniform(5, 50, 12)).predictor.spearman)
    assert abs(np.mean(found)) < 0.15


@given(st.integers(4, 48), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_correlation_is_scipys_and_lies_in_its_interval(n, seed):
    first, second = np.random.default_rng(seed).normal(size=(2, n)).round(1)
    found = trust.correlation(first, second)
    assert found.spearman == pytest.approx(spearman(first, second), abs=1e-12)
    assert -1 <= found.low < found.spearman < found.high <= 1 or abs(found.spearman) == 1


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), []
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's correlation of normal variables that correlate at .6
    for _ in range(400):
        x = rng.normal(size=16)
        found = trust.correlation(x, 0.6 * x + 0.8 * rng.normal(size=16))
        inside.append(found.low < truth < found.high)
    assert 0.91 < np.mean(inside) < 0.985


def test_what_the_labels_contradict_is_said():
    table, errors, order = problem(noise=0.01)
    labelled = order[:40]
    good = trust.check(table, labelled, errors[labelled])
    assert not good.contradicts_prior
    assert not good.contradicts_itself
    assert good.judgement.endswith("of 40 labels: the labels predict each other")
    turned = trust.check(table._replace(prior=-table.prior), labelled, errors[labelled])
    assert turned.contradicts_prior
    assert "they contradict the prior" in turned.judgement
    noise = trust.check(table, labelled[:8], np.random.default_rng(0).permutation(8).astype(float))
    assert noise.contradicts_itself
    assert "do not predict each other" in noise.judgement


def test_too_few_labels_say_nothing():
    found = trust.correlation(np.arange(3.0), np.arange(3.0))
    assert found == (1.0, -1.0, 1.0)
    assert trust.correlation(np.zeros(0), np.zeros(0)).spearman == 0


def test_spread_takes_the_best_of_each_group_of_costs_and_none_twice():
    values, costs = np.random.default_rng(0).normal(size=(2, 40))
    taken = np.zeros(40, bool)
    first = choosing.spread(values, costs, 4, taken)
    groups = np.array_split(np.argsort(costs), 4)
    assert first.tolist() == [group[values[group].argmax()] for group in groups]
    taken[first] = True
    assert not set(choosing.spread(values, costs, 4, taken)) & set(first)
    taken[:] = True
    taken[5] = False
    assert choosing.spread(values, costs, 4, taken).tolist() == [5]


def test_doubt_prefers_what_is_unsure():
    table, errors, order = problem()
    found = predictor.fit(table, order[:8], errors[order[:8]]).predict(table)
    np.testing.assert_array_equal(choosing.optimistic(found, 0.0), found.normal)
    gained = choosing.optimistic(found, 2.0) - found.normal
    assert (np.argsort(gained) == np.argsort(found.normal_std)).all()


def test_a_space_and_its_scores_make_a_table():
    space = spaces.get("nasbench201")
    genomes = space.canonical(np.asarray(space.sample(jax.random.key(0), 30)))
    score = np.arange(30.0)
    table = untrained.tabulate(space, genomes, {"nwot": score, "macs": -score}, score)
    assert table.scores.shape == (30, 2)
    assert table.counts.shape == (30, len(spaces.counts(space, genomes)))
    np.testing.assert_array_equal(table.scores[:, 1], -score)
    found = predictor.fit(table, [0, 9, 20], [30.0, 20.0, 10.0]).predict(table)
    assert spearman(found.normal, score) > 0.8


def test_imports_wait_until_they_are_used():
    code = "import sys, rwejax.evaluate.predictor, rwejax.evaluate.trust; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
