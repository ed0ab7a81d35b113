"""Whether a predictor of trained error can be trusted, asked of the labels that it was fitted to.

Each label is predicted by a predictor that was fitted to all others. Targets are quantiles among the labels of a fit,
so that their mean does not tell which one is missing, which would make predictions that know nothing look worse than
chance [1].

The intervals are Fisher's, with the variance that Bonett and Wright [2] give for Spearman's correlation. From 8 to 48
labels, a percentile bootstrap would repeat networks, whose ties move the correlation itself, and it needs labels enough
to draw from.

[1] Parker, Günter, Bedo, "Stratification bias in low signal microarray studies", BMC Bioinformatics 2007.
[2] Bonett, Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika
    2000.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rwejax.evaluate import predictor
from rwejax.evaluate.untrained import Table

_QUANTILE = 1.959964  # of the normal distribution, for 95 %
_SMALLEST = 4  # labels, of which an interval can be given


class Correlation(NamedTuple):
    """Spearman's correlation with its 95 % interval; 0 where a side is constant.

    Attributes:
        spearman: -1 to 1.
        low: lower end.
        high: upper end.
    """

    spearman: float
    low: float
    high: float

    def __str__(self) -> str:
        """The three to two digits."""
        return f"{self.spearman:.2f} ({self.low:.2f} {self.high:.2f})"


@dataclass(frozen=True)
class Trust:
    """How labels agree with what is predicted without them.

    Attributes:
        labels: how many there are.
        predictor: correlation of left-out labels with their predictions.
        prior: correlation of the labels with the prior.
    """

    labels: int
    predictor: Correlation
    prior: Correlation

    @property
    def contradicts_prior(self) -> bool:
        """Whether the labels order networks the other way round than the prior."""
        return self.prior.high < 0

    @property
    def contradicts_itself(self) -> bool:
        """Whether the labels do not predict each other: the interval reaches 0."""
        return self.predictor.low <= 0

    @property
    def judgement(self) -> str:
        """What that means, in a sentence."""
        found = f"leave-one-out Spearman {self.predictor} of {self.labels} labels"
        if self.contradicts_itself:
            found += ": the labels do not predict each other, so the prior is all that is known"
        else:
            found += ": the labels predict each other"
        if self.contradicts_prior:
            found += f"; they contradict the prior, Spearman {self.prior}"
        return found


def check(table: Table, labelled: Int[np.ndarray, " m"], errors: Float[np.ndarray, " m"]) -> Trust:
    """Predict each label from the others.

    Args:
        table: of all networks that have been scored.
        labelled: rows of those that have been trained.
        errors: their validation errors in %; NaN of one that diverged, which counts as the worst.

    Raises:
        InputError: as for `rwejax.evaluate.predictor.fit`.
    """
    labelled, errors = np.asarray(labelled, int), np.asarray(errors, float)
    truth = -np.where(np.isnan(errors), np.inf, errors)
    found = predictor.leave_one_out(table, labelled, errors).normal
    return Trust(len(truth), correlation(found, truth), correlation(table.prior[labelled], truth))


def correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> Correlation:
    """Spearman's correlation and its interval.

    A perfect order counts as one with two neighbours exchanged, for Fisher's interval would have no width.

    Args:
        first: of each network; NaN counts as minus infinity.
        second: the same.

    Returns:
        The interval is -1 to 1 below four networks.

    Examples:
        >>> print(correlation(np.arange(12.0), np.arange(12.0) ** 2))
        1.00 (0.97 1.00)
    """
    n = len(first)
    ranks = [_centred_ranks(each) for each in (first, second)]
    scale = np.sqrt(np.prod([each @ each for each in ranks]))
    rho = float(np.clip(ranks[0] @ ranks[1] / scale, -1, 1)) if scale else 0.0
    if n < _SMALLEST:
        return Correlation(rho, -1.0, 1.0)
    limit = 1 - 12 / (n * (n**2 - 1))
    centre = np.clip(rho, -limit, limit)
    half = _QUANTILE * np.sqrt((1 + centre**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(centre) + np.array([-half, half]))
    return Correlation(rho, float(low), float(high))


def _centred_ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    from scipy import stats  # takes a second to import

    ranks = stats.rankdata(np.where(np.isnan(values), -np.inf, values))
    return ranks - ranks.mean() if len(ranks) else ranks
