import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import Ridge, RidgeCV

from rwejax.evaluate.ridge import STRENGTHS, _decompose, _log_evidence, constant_scores, ridge_scores

CLASSES = 4


def problem(n=150, d=12, train=100, seed=0):
    """Features that hold some of the class, in different scales, one of them constant."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    features = rng.normal(size=(CLASSES, d))[labels] + 2 * rng.normal(size=(n, d))
    features = features * rng.uniform(0.1, 10, d) + rng.normal(size=d)
    features[:, 3] = 0.7
    return features.astype(np.float32), labels.astype(np.int32), train


def standardised(features, by):
    std = by.std(0)
    return (features - by.mean(0)) / np.where(std < 1e-6, 1, std)


@pytest.fixture(params=[{"seed": 0}, {"seed": 1}, {"seed": 2}, {"n": 90, "d": 140, "train": 60}], ids=str)
def case(request):
    features, labels, train = problem(**request.param)
    return features, labels, train, jax.jit(ridge_scores, static_argnums=(2, 3))(features, labels, CLASSES, train)


def loo_by_sklearn(features, labels):
    """Leave-one-out predictions at each strength, from RidgeCV."""
    targets = np.eye(CLASSES)[labels]
    z = standardised(features.astype(np.float64), features.astype(np.float64))
    strengths = STRENGTHS.astype(np.float64) * len(z)
    model = RidgeCV(strengths, store_cv_results=True, scoring=None).fit(z, targets)
    return model.cv_results_, strengths, z, targets


def test_leave_one_out_squared_error_equals_ridge_cv(case):
    features, labels, _, scores = case
    squared, _, _, _ = loo_by_sklearn(features, labels)
    expected = squared.sum(1).mean(0).min()
    assert scores.loo_squared_error == pytest.approx(expected, rel=1e-3)


def test_leave_one_out_error_equals_refitting(case):
    features, labels, _, scores = case
    squared, strengths, z, targets = loo_by_sklearn(features, labels)
    strength = strengths[squared.sum(1).mean(0).argmin()]
    wrong = 0
    for i in range(len(z)):
        rest = np.arange(len(z)) != i
        wrong += Ridge(strength).fit(z[rest], targets[rest]).predict(z[i : i + 1]).argmax() != labels[i]
    assert scores.loo_error == pytest.approx(100 * wrong / len(z), abs=1e-3)


def test_validation_error_equals_ridge_at_ridge_cvs_strength(case):
    features, labels, train, scores = case
    squared, strengths, z, targets = loo_by_sklearn(features[:train], labels[:train])
    model = Ridge(strengths[squared.sum(1).mean(0).argmin()]).fit(z, targets)
    predicted = model.predict(standardised(features[train:], features[:train])).argmax(1)
    assert scores.validation_error == pytest.approx(100 * (predicted != labels[train:]).mean(), abs=1e-3)


def test_log_evidence_equals_a_gaussian_process(case):
    features, labels, _, scores = case
    targets = np.eye(CLASSES)[labels]
    targets -= targets.mean(0)
    n = len(targets)
    fit = _decompose(jnp.asarray(features), jnp.asarray(np.eye(CLASSES, dtype=np.float32)[labels]))
    ours = np.asarray(_log_evidence(fit, jnp.eye(CLASSES)[labels]))
    z = standardised(features.astype(np.float64), features.astype(np.float64))
    for strength, found in zip(STRENGTHS.astype(np.float64) * n, ours, strict=True):
        covariance = z @ z.T / strength + np.eye(n)
        noise = (targets * np.linalg.solve(covariance, targets)).sum() / targets.size
        kernel = ConstantKernel(noise / strength, "fixed") * DotProduct(0.0, "fixed") + WhiteKernel(noise, "fixed")
        process = GaussianProcessRegressor(kernel, alpha=0, optimizer=None).fit(z, targets)
        assert found == pytest.approx(process.log_marginal_likelihood_value_ / targets.size, abs=2e-3)
    assert scores.log_evidence == pytest.approx(ours.max(), abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_score_worst_and_leave_neighbours_alone(bad):
    features, labels, train = problem()
    broken = features.copy()
    broken[7, 2] = bad
    score = jax.jit(jax.vmap(ridge_scores, (0, None, None, None)), static_argnums=(2, 3))
    alone = score(np.stack([features, features]), labels, CLASSES, train)
    beside = score(np.stack([features, broken]), labels, CLASSES, train)
    for before, after in zip(alone, beside, strict=True):
        assert before[0] == after[0]
    worst = [100.0, 100.0, np.inf, -np.inf, True]
    assert [value[1] for value in beside] == worst


def test_features_without_any_content_score_like_a_constant_prediction():
    _, labels, train = problem()
    scores = ridge_scores(jnp.ones((150, 12)), labels, CLASSES, train)
    constant = constant_scores(labels, CLASSES)
    assert scores.log_evidence == pytest.approx(constant["log_evidence"], abs=1e-5)
    assert scores.loo_squared_error == pytest.approx(constant["loo_squared_error"], rel=1e-4)
