"""The trained error of networks, predicted from what is known of them untrained and from a few that were trained.

No score of untrained networks ranks every space, but several together do, weighted by what a few trainings show. A
Bayesian ridge regression weights them, and what the space counts of its networks. It sees everything as normal
quantiles of ranks, so that neither units nor outliers matter.

As long as there is no label, networks are ordered by a prior, one score that is trusted beforehand. It stays in the
regression as a few networks, evenly spread over its ranks, whose quantiles stand for labels; together they weigh as
much as two. So it decides little once there are more.

Labels are often chosen among those that the prior likes, whose errors are then not those of a random sample. The mean
and the variance of their quantiles are therefore what Pearson's and Lawley's selection formulas [1] give for a prior
that correlates with the truth at .6; for labels that are drawn at random they are all but 0 and 1.

[1] Lawley, "A note on Karl Pearson's selection formulae", Proceedings of the Royal Society of Edinburgh 1943.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rwejax.errors import InputError
from rwejax.evaluate import bayesian_ridge
from rwejax.evaluate.untrained import Table, Values, columns_of, quantiles

PRIOR_WEIGHT = 2.0
"""Labels that the prior counts as."""
_PRIOR_NETWORKS = 40
_LITTLE = 1e-9
_PRIOR_CORRELATION = 0.6  # with the truth; default scores have .2 to .8 in six tables


class Prediction(NamedTuple):
    """What is predicted of networks.

    Attributes:
        normal: normal quantile of the error, negated: higher is better. It orders the networks at any number of labels.
        normal_std: its standard deviation; 1 without labels.
        error: in %; NaN as long as no two labels differ.
        std: of the error, in points; NaN as long as no two labels differ.
    """

    normal: Values
    normal_std: Values
    error: Values
    std: Values


@dataclass(frozen=True, eq=False)
class Predictor:
    """A fitted predictor; see `fit`.

    Attributes:
        reference: columns of the table that it was fitted to, each sorted: the prior, scores, counts.
        centre: means of the columns' quantiles.
        scale: factors of the columns: the prior and the scores have as much variance as the counts, together.
        posterior: the regression; None without labels.
        knots: normal quantiles of labels with different errors, rising.
        knot_errors: their errors in %, falling.
    """

    reference: Float[np.ndarray, "n columns"]
    centre: Float[np.ndarray, " columns"]
    scale: Float[np.ndarray, " columns"]
    posterior: bayesian_ridge.Posterior | None
    knots: Float[np.ndarray, " k"]
    knot_errors: Float[np.ndarray, " k"]

    def predict(self, table: Table) -> Prediction:
        """Predict the error of networks, of the fitted table or others.

        Args:
            table: with the columns of the table that it was fitted to.

        Raises:
            InputError: the table has other columns.
        """
        columns = columns_of(table)
        if columns.shape[1] != self.reference.shape[1]:
            raise InputError(
                f"table has {columns.shape[1]} columns: give the {self.reference.shape[1]} of the one that was fitted"
            )
        normal = quantiles(columns, self.reference)
        if self.posterior is None:
            mean, std = normal[:, 0], np.ones(len(normal))
        else:
            mean, std = self.posterior.predict((normal - self.centre) * self.scale)
        worse, better = self._error(mean - std), self._error(mean + std)
        return Prediction(mean, std, self._error(mean), (worse - better) / 2)

    def _error(self, normal: Values) -> Values:
        """Errors in % of normal quantiles: on lines between the labels; beyond them the slope of all fades out."""
        if len(self.knots) < 2:
            return np.full(len(normal), np.nan)
        slope = np.polyfit(self.knots, self.knot_errors, 1)[0]
        worst, best = self.knot_errors[0], self.knot_errors[-1]
        below, above = np.maximum(self.knots[0] - normal, 0), np.maximum(normal - self.knots[-1], 0)
        inside = np.interp(normal, self.knots, self.knot_errors)
        # Towards 100 and 0 %, which are never passed, so that no two networks tie there.
        worse = (100 - worst) * -np.expm1(slope * below / max(100 - worst, _LITTLE))
        better = best * np.expm1(slope * above / max(best, _LITTLE))
        return inside + worse + better


def fit(table: Table, labelled: Int[np.ndarray, " m"], errors: Float[np.ndarray, " m"]) -> Predictor:
    """Fit a predictor to a few trained networks.

    The result depends on nothing but the arguments, and not on the order of the rows or of the labels beyond rounding.

    Args:
        table: of all networks that have been scored; ranks are taken among them.
        labelled: rows of those that have been trained.
        errors: their validation errors in %; NaN of one that diverged, which counts as worse than all others: it says
            that networks like it should not be trained again.

    Raises:
        InputError: see `check_labels`.
    """
    return _fit(_known(table), *check_labels(table, labelled, errors))


def leave_one_out(table: Table, labelled: Int[np.ndarray, " m"], errors: Float[np.ndarray, " m"]) -> Prediction:
    """What each label is predicted to be by a predictor that was fitted to all others.

    Args:
        table: as for `fit`.
        labelled: rows of the labels.
        errors: their errors in %.

    Returns:
        (m,) of each, in the order in which the labels were given.

    Raises:
        InputError: as for `fit`.
    """
    rows, errors = check_labels(table, labelled, errors)
    known, found = _known(table), np.zeros((len(Prediction._fields), len(table.prior)))
    for row in rows:
        others = rows != row
        left_out = _fit(known, rows[others], errors[others])
        found[:, row] = np.concatenate(left_out.predict(Table(*(part[row : row + 1] for part in table))))
    return Prediction(*found[:, np.asarray(labelled, int)])


class _Known(NamedTuple):
    """What a fit takes from a table: its columns sorted and as quantiles, and the rows that stand for the prior."""

    reference: Float[np.ndarray, "n columns"]
    normal: Float[np.ndarray, "n columns"]
    scale: Float[np.ndarray, " columns"]
    anchors: Int[np.ndarray, " a"]


def _known(table: Table) -> _Known:
    columns = columns_of(table)
    reference = np.sort(columns, axis=0)
    normal = quantiles(columns, reference)
    blocks = 1 + table.scores.shape[1], table.counts.shape[1]
    scale = np.concatenate([np.full(block, 1 / np.sqrt(max(1, block))) for block in blocks])
    return _Known(reference, normal, scale, _anchors(normal))


def _fit(known: _Known, labelled: Int[np.ndarray, " m"], errors: Float[np.ndarray, " m"]) -> Predictor:
    reference, normal, scale, anchors = known
    centre = normal.mean(0)
    if not len(errors):
        return Predictor(reference, centre, scale, None, np.zeros(0), np.zeros(0))
    targets = _targets(errors, normal[labelled, 0])
    rows = np.concatenate([labelled, anchors])
    weights = np.repeat([1.0, PRIOR_WEIGHT / len(anchors)], [len(labelled), len(anchors)])
    y = np.concatenate([targets, normal[anchors, 0]])
    posterior = bayesian_ridge.fit((normal[rows] - centre) * scale, y, weights)
    trained = np.isfinite(errors)
    knots, first = np.unique(targets[trained], return_index=True)
    return Predictor(reference, centre, scale, posterior, knots, errors[trained][first])


def check_labels(table: Table, labelled: Any, errors: Any) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Labels as arrays, the rows rising.

    Args:
        table: has the rows.
        labelled: rows that have an error.
        errors: in %.

    Raises:
        InputError: they are no rows of the table, one has two errors or one that is no percentage, or there are not as
            many of both.
    """
    labelled, errors = np.asarray(labelled, int).reshape(-1), np.asarray(errors, float).reshape(-1)
    if len(labelled) != len(errors):
        raise InputError(f"labelled has {len(labelled)} rows and errors {len(errors)}: give one error for each row")
    if outside := [row for row in labelled.tolist() if not 0 <= row < len(table.prior)]:
        raise InputError(
            f"labelled has {outside[0]}, but the table has rows 0 to {len(table.prior) - 1}: give one of them"
        )
    if len(wrong := errors[np.isfinite(errors) & ((errors < 0) | (errors > 100))]):
        raise InputError(f"errors has {wrong[0]:g}: give errors in %, 0 to 100, and NaN for a network that diverged")
    if len(np.unique(labelled)) < len(labelled):
        raise InputError("labelled has one row twice: give each network one error")
    order = np.argsort(labelled)
    return labelled[order], errors[order]


def _targets(errors: Float[np.ndarray, " m"], prior: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Normal quantiles of the errors, negated, as the prior lets expect them of such labels."""
    scores = -np.where(np.isnan(errors), np.inf, errors)[:, None]
    found = quantiles(scores, np.sort(scores, axis=0))[:, 0]
    variance = 1 - _PRIOR_CORRELATION**2 * (1 - prior.var())
    return _PRIOR_CORRELATION * prior.mean() + np.sqrt(variance) * found


def _anchors(x: Float[np.ndarray, "n columns"]) -> Int[np.ndarray, " a"]:
    """Rows evenly spread over the ranks of the prior; of equal ones the order follows from the other columns."""
    order = np.lexsort(x.T[::-1])
    return order[np.linspace(0, len(order) - 1, min(_PRIOR_NETWORKS, len(order))).round().astype(int)]
