"""Labels drawn from a table of trained networks, and how well they predict the others."""

from typing import Any, NamedTuple

import numpy as np

from rwejax.evaluate import choosing, predictor
from rwejax.evaluate.predictor import Table

from .forward_tables import Scored

VARIANTS = (
    "prior",
    "all",
    "chosen",
    "default prior",
    "no prior",
    "no counts",
    "counts",
    "scikit-learn",
)
"""What is compared. `prior` is the mean of the quantiles of fit_path and rwf alone; `all` the predictor with it, labels
drawn at random; `chosen` the same, labels the best by the prior in groups of similar macs, in random four fifths of the
table. `default prior` has the space's default score as prior, `no prior` a constant; `no counts` and `counts` have one
of the two kinds of columns. `scikit-learn` is BayesianRidge with the prior as 40 examples that weigh as much as 4."""
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
    tables = {
        name: predictor.tabulate(scored.space, scored.genomes, scores, np.asarray(prior))
        for name, prior in priors.items()
    }
    n = len(scored.accuracy)
    unseen = np.random.default_rng(2024).permutation(n) >= n // 2
    return Study(tables, scored.accuracy, np.asarray(scored.space.macs(scored.genomes)), unseen)


def judge(study: Study, variant: str, count: int, draw: int) -> tuple[float, float] | None:
    """Spearman on the unseen networks without a label, and regret; None where too few are left.

    Regret is how many points the best of the labelled networks and of the 8 best predicted lies under the best of the
    labelled and unseen networks.
    """
    rng = np.random.default_rng([draw, count])
    labelled = _chosen(study, count, rng) if variant == "chosen" else rng.permutation(len(study.accuracy))[:count]
    free = study.unseen.copy()
    free[labelled] = False
    if free.sum() < _SMALLEST:
        return None
    found = _predicted(study, variant, labelled)[free]
    truth, best = study.accuracy[free], study.accuracy[labelled].max()
    top = truth[np.argsort(-found, kind="stable")[:_TOP]].max()
    return _spearman(found, truth), max(best, truth.max()) - max(best, top)


def _chosen(study: Study, count: int, rng: np.random.Generator) -> np.ndarray:
    taken = rng.permutation(len(study.accuracy)) >= max(count + 8, int(0.8 * len(study.accuracy)))
    return choosing.spread(study.tables["mean"].prior, study.macs, count, taken)


def _predicted(study: Study, variant: str, labelled: np.ndarray) -> np.ndarray:
    table = study.tables[{"default prior": "default", "no prior": "none"}.get(variant, "mean")]
    errors = 100 - study.accuracy[labelled]
    if variant == "prior":
        return table.prior
    if variant == "scikit-learn":
        return _scikit_learn(table, labelled, errors)
    if variant == "no counts":
        table = table._replace(counts=table.counts[:, :0])
    if variant == "counts":
        table = table._replace(scores=table.scores[:, :0])
    return predictor.fit(table, labelled, errors).predict(table).normal


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
    return np.asarray(predictor.quantiles(values[:, None], np.sort(values)[:, None])[:, 0])


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    from scipy import stats

    ranks = [stats.rankdata(each) - (len(each) + 1) / 2 for each in (first, second)]
    scale = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float(ranks[0] @ ranks[1] / scale) if scale else 0.0
