"""How well an estimator's scores rank networks whose accuracy is known.

Everything depends on ranks alone. A NaN score counts as minus infinity, and networks of minus infinity, the dead ones,
tie on the last rank. What is undefined, such as the correlation of a constant, is NaN.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

_CONFIDENCE = 0.95
_RESAMPLES = 2000
_VALUES_TOGETHER = 2**20  # of all resamples that are ranked at once, which bounds memory
_TOP = 10
_SMALLEST_GROUP = 3  # two networks correlate at 1 or -1, whatever they are
_NO_REST = 1e-12  # what is left of a variance that the macs explain all of

Values = Float[np.ndarray, " n"]


class Correlation(NamedTuple):
    """How scores agree with the truth; 1 is the best value of each, and all but `recall` are signed.

    Attributes:
        spearman: rank correlation.
        low: lower end of its 95 % interval.
        high: upper end.
        kendall: Kendall's tau-b.
        partial: rank correlation given the macs.
        quartiles: rank correlation among networks of similar macs.
        recall: share of the truly best tenth that the scores put in their best tenth; by chance about 0.1.
    """

    spearman: float
    low: float
    high: float
    kendall: float
    partial: float
    quartiles: float
    recall: float


def measure(scores: Values, truth: Values, macs: Int[np.ndarray, " n"], seed: int = 0) -> Correlation:
    """Everything at once.

    Args:
        scores: of an estimator, higher is better.
        truth: finite, higher is better.
        macs: multiply-adds of the networks.
        seed: draws the resamples of the interval.

    Examples:
        >>> found = measure(np.array([1.0, 3.0, 2.0, -np.inf]), np.array([91.0, 93.0, 92.0, 10.0]), np.arange(4))
        >>> found.spearman, found.kendall, found.recall
        (1.0, 1.0, 1.0)
    """
    low, high = interval(scores, truth, seed)
    return Correlation(
        spearman=spearman(scores, truth),
        low=low,
        high=high,
        kendall=kendall(scores, truth),
        partial=partial_spearman(scores, truth, macs),
        quartiles=quartile_spearman(scores, truth, macs),
        recall=top_recall(scores, truth),
    )


def spearman(scores: Values, truth: Values) -> float:
    """Spearman's rank correlation, ties on their mean rank.

    Args:
        scores: of an estimator, higher is better.
        truth: of the same networks, higher is better.

    Returns:
        -1 to 1; NaN where either side is constant.
    """
    return float(_pearson(_ranks(scores), _ranks(truth)))


def kendall(scores: Values, truth: Values) -> float:
    """Kendall's tau-b, which allows for ties.

    Args:
        scores: of an estimator, higher is better.
        truth: of the same networks, higher is better.

    Returns:
        -1 to 1; NaN where either side is constant.
    """
    first, second = _ranks(scores), _ranks(truth)
    if min(np.ptp(first), np.ptp(second)) == 0:
        return float("nan")
    from scipy import stats  # takes a second to import, and a search has no use for it

    return float(stats.kendalltau(first, second).statistic)


def interval(scores: Values, truth: Values, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of Spearman's correlation at 95 %, from 2,000 resamples of the networks.

    It says how far another sample of networks of this size might fall, not what other weights or images would change.

    Args:
        scores: of an estimator.
        truth: of the same networks.
        seed: draws the resamples.

    Returns:
        Both ends. Resamples without a correlation are left out; NaN if none has one.
    """
    first, second = _ranks(scores), _ranks(truth)
    rng, together = np.random.default_rng(seed), max(1, _VALUES_TOGETHER // len(first))
    values = np.zeros(0)
    while len(values) < _RESAMPLES:
        rows = rng.integers(len(first), size=(min(together, _RESAMPLES - len(values)), len(first)))
        values = np.concatenate([values, _pearson(_ranks(first[rows]), _ranks(second[rows]))])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def partial_spearman(scores: Values, truth: Values, macs: Int[np.ndarray, " n"]) -> float:
    """Spearman's correlation given the macs: what scores know of the truth that sizes do not.

    Args:
        scores: of an estimator, higher is better.
        truth: of the same networks, higher is better.
        macs: their multiply-adds, of which only the ranks count.

    Returns:
        -1 to 1; NaN where one of the three is constant, or the macs rank exactly as the scores or the truth do, or
        exactly the other way round.
    """
    with_truth, with_macs, of_macs = spearman(scores, truth), spearman(scores, macs), spearman(truth, macs)
    rest = (1 - with_macs**2) * (1 - of_macs**2)
    return float((with_truth - with_macs * of_macs) / np.sqrt(rest)) if rest > _NO_REST else float("nan")


def quartile_spearman(scores: Values, truth: Values, macs: Int[np.ndarray, " n"]) -> float:
    """The mean of Spearman's correlations inside the quartiles of the macs.

    Networks of equal macs lie in the same quartile, so these may differ in size. Those with fewer than three networks,
    or without a correlation, are left out.

    Args:
        scores: of an estimator, higher is better.
        truth: of the same networks, higher is better.
        macs: their multiply-adds.

    Returns:
        -1 to 1, each quartile with the same weight; NaN if all are left out.
    """
    quartile = np.searchsorted(np.quantile(macs, [0.25, 0.5, 0.75]), macs)
    groups = [quartile == number for number in range(4)]
    values = [spearman(scores[group], truth[group]) for group in groups if group.sum() >= _SMALLEST_GROUP]
    values = [value for value in values if not np.isnan(value)]
    return float(np.mean(values)) if values else float("nan")


def top_recall(scores: Values, truth: Values) -> float:
    """The share of the truly best tenth, rounded up, that the scores put in their own best tenth.

    Where a tie lies across the border of a tenth, the expectation over random orders of the tied networks. So constant
    scores get what guessing gets.

    Args:
        scores: of an estimator, higher is better.
        truth: of the same networks, higher is better.

    Returns:
        0 to 1; about 0.1 by chance.
    """
    count = -(-len(truth) // _TOP)
    return float((_chance(scores, count) * _chance(truth, count)).sum() / count)


def _chance(values: Values, count: int) -> Values:
    """The chance of each network to be among the `count` best if ties are ordered at random."""
    ranks = _ranks(values)
    border = np.sort(ranks)[-count]
    above, level = ranks > border, ranks == border
    return above + level * ((count - above.sum()) / level.sum())


def _ranks(values: Any) -> Float[np.ndarray, "... n"]:
    values = np.asarray(values, float)
    from scipy import stats

    return stats.rankdata(np.where(np.isnan(values), -np.inf, values), axis=-1)


def _pearson(first: Float[np.ndarray, "... n"], second: Float[np.ndarray, "... n"]) -> Float[np.ndarray, "..."]:
    first, second = first - first.mean(-1, keepdims=True), second - second.mean(-1, keepdims=True)
    scale = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    with np.errstate(invalid="ignore"):  # a constant has the scale 0 exactly, for mean ranks are halves of integers
        return np.clip((first * second).sum(-1) / scale, -1, 1)
