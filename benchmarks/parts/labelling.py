"""Labels drawn from a table of trained networks, and how well they predict the others."""

from typing import Any, NamedTuple

import numpy as np

from rwejax.evaluate import choosing, predictor, trust, untrained
from rwejax.evaluate.predictor import Prediction
from rwejax.evaluate.untrained import Table

from .forward_tables import Scored

VARIANTS = (
    "prior",
    "all",
    "chosen",
    "mean prior",
    "no prior",
    "no counts",
    "counts",
    "scikit-learn",
)
"""What is compared. `prior` is the space's default score alone; `all` the predictor with it, labels drawn at random;
`chosen` the same, labels the best by the prior in groups of similar macs, in random four fifths of the table. `mean
prior` has the mean of the quantiles of fit_path and rwf as prior, `no prior` a constant; `no counts` and `counts` have
one of the two kinds of columns. `scikit-learn` is BayesianRidge, the prior as 40 examples that weigh as much as 4."""
_TOP = 8
_SMALLEST = 6  # networks to rank


class Study(NamedTuple):
    """A table that is studied.

    Attributes:
        tables: by prior, what is known without training: `mean`, `default` and `none`.
        accuracy: in %.
        macs: of the networks.
        unseen: the half of the networks that no choice of the predictor has seen.
    """

    tables: dict[str, Table]
    accuracy: np.ndarray
    macs: np.ndarray
    unseen: np.ndarray


def prepare(scored: Scored) -> Study:
    """The columns of a table with each prior."""
    scores = scored.scores
    priors = {
        "mean": sum(_normal(scores[name]) for name in ("fit_path", "rwf")),
        "default": scores[scored.space.default_estimator],
        "none": np.zeros(len(scored.accuracy)),
    }
    space, genomes = scored.space, scored.genomes
    known = {**scores, "macs": space.macs(genomes), "params": space.params(genomes)}
    tables = {name: untrained.tabulate(space, genomes, known, np.asarray(prior)) for name, prior in priors.items()}
    n = len(scored.accuracy)
    unseen = np.random.default_rng(2024).permutation(n) >= n // 2
    return Study(tables, scored.accuracy, np.asarray(scored.space.macs(scored.genomes)), unseen)


def judge(study: Study, variant: str, count: int, draw: int) -> dict[str, float] | None:
    """What labels are worth; None where fewer than 6 unseen networks have none.

    - spearman: on the unseen networks without a label; `spearman_all`: on all without a label, seen ones too.
    - regret: how many points the best of the labelled networks and of the 8 best predicted lies under the best of the
      labelled and unseen networks.
    - mae, within: mean absolute error of the predicted error in points, and the share that lies within 1.645 std of it.
    - leave_one_out: the Spearman that the labels themselves show, for the variant `all`.
    """
    rng = np.random.default_rng([draw, count])
    labelled = _chosen(study, count, rng) if variant == "chosen" else rng.permutation(len(study.accuracy))[:count]
    free = study.unseen.copy()
    free[labelled] = False
    if free.sum() < _SMALLEST:
        return None
    predicted = _predicted(study, variant, labelled)
    found, truth, best = predicted.normal[free], study.accuracy[free], study.accuracy[labelled].max()
    top = truth[np.argsort(-found, kind="stable")[:_TOP]].max()
    miss = np.abs(100 - truth - predicted.error[free])
    others = np.delete(np.arange(len(study.accuracy)), labelled)
    itself = np.nan
    if variant == "all":
        itself = trust.check(study.tables["default"], labelled, 100 - study.accuracy[labelled]).predictor.spearman
    return {
        "spearman": trust.correlation(found, truth).spearman,
        "spearman_all": trust.correlation(predicted.normal[others], study.accuracy[others]).spearman,
        "regret": max(best, truth.max()) - max(best, top),
        "mae": miss.mean(),
        "within": (miss < 1.645 * predicted.std[free]).mean() if np.isfinite(miss).all() else np.nan,
        "leave_one_out": itself,
    }


def _chosen(study: Study, count: int, rng: np.random.Generator) -> np.ndarray:
    taken = rng.permutation(len(study.accuracy)) >= max(count + 8, int(0.8 * len(study.accuracy)))
    return choosing.spread(study.tables["default"].prior, study.macs, count, taken)


def _predicted(study: Study, variant: str, labelled: np.ndarray) -> Prediction:
    table = study.tables[{"mean prior": "mean", "no prior": "none"}.get(variant, "default")]
    errors = 100 - study.accuracy[labelled]
    if variant == "prior":
        return _order(table.prior)
    if variant == "scikit-learn":
        return _order(_scikit_learn(table, labelled, errors))
    if variant == "no counts":
        table = table._replace(counts=table.counts[:, :0])
    if variant == "counts":
        table = table._replace(scores=table.scores[:, :0])
    return predictor.fit(table, labelled, errors).predict(table)


def _order(values: np.ndarray) -> Prediction:
    nothing = np.full(len(values), np.nan)
    return Prediction(values, nothing, nothing, nothing)


def _scikit_learn(table: Table, labelled: np.ndarray, errors: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import BayesianRidge

    x = np.stack([_normal(column) for column in np.concatenate([table.scores, table.counts], 1).T], 1)
    prior = _normal(table.prior)
    anchors = np.argsort(prior, kind="stable")[np.linspace(0, len(prior) - 1, 40).round().astype(int)]
    rows = np.concatenate([labelled, anchors])
    y = np.concatenate([_normal(-errors), prior[anchors]])
    model: Any = BayesianRidge().fit(x[rows], y, sample_weight=np.repeat([1.0, 0.1], [len(labelled), 40]))
    return np.asarray(model.predict(x))


def _normal(values: np.ndarray) -> np.ndarray:
    return np.asarray(untrained.quantiles(values[:, None], np.sort(values)[:, None])[:, 0])
