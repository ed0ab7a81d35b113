"""Ridge regression on few examples, averaged over the strength of its penalty.

Weights are normal with a variance of `r` times that of the noise, which has an inverse gamma prior: the conjugate model
[1]. Each ratio r of a grid is weighted by its evidence. scikit-learn's `BayesianRidge` takes the most likely one: with
few examples its updates are unstable, and where the examples' weights sum to less than their rank they can end at a
negative variance of the noise. An example of weight w has its likelihood to the power of w.

There is no intercept: targets and columns have a mean of 0 in the population that matters, if not among the examples.

[1] Bishop, "Pattern recognition and machine learning", 2006, sections 3.3 to 3.5.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RATIOS = np.geomspace(0.03, 30, 8)
"""Variances of the weights over that of the noise, for columns whose squares sum to about 1 or 2."""
_SHAPE, _RATE = 2.0, 1.0  # of the inverse gamma prior, whose mean is 1


class Posterior(NamedTuple):
    """A fitted regression, for each ratio.

    Attributes:
        evidence: weights of the ratios, which sum to 1.
        weights: means of the regression's weights.
        noise: means of the noise's variance.
        shrinkage: of each direction, what the examples leave of the prior's variance, as a share that is subtracted.
        directions: orthonormal, in which the examples vary.
    """

    evidence: Float[np.ndarray, " ratios"]
    weights: Float[np.ndarray, "ratios columns"]
    noise: Float[np.ndarray, " ratios"]
    shrinkage: Float[np.ndarray, "ratios directions"]
    directions: Float[np.ndarray, "directions columns"]

    def predict(self, x: Float[np.ndarray, "n columns"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Mean and standard deviation of the targets of other examples, noise included.

        Args:
            x: the examples.
        """
        means = self.weights @ x.T
        unknown = (x**2).sum(1) - self.shrinkage @ (self.directions @ x.T) ** 2
        variances = self.noise[:, None] * (1 + RATIOS[:, None] * np.maximum(unknown, 0))
        mean = self.evidence @ means
        return mean, np.sqrt(self.evidence @ (variances + (means - mean) ** 2))


def fit(x: Float[np.ndarray, "m columns"], y: Float[np.ndarray, " m"], examples: Float[np.ndarray, " m"]) -> Posterior:
    """Fit a regression.

    Args:
        x: of each example.
        y: the targets.
        examples: weights of the examples, 1 for a whole one.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(40, 2))
        >>> mean, std = fit(x, x @ np.array([1.0, -1.0]), np.ones(40)).predict(np.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> [f"{value:.1f}" for value in mean]
        ['1.0', '-1.0']
    """
    root = np.sqrt(examples)
    u, s, directions = np.linalg.svd(root[:, None] * x, full_matrices=False)
    along = u.T @ (root * y)
    gain = RATIOS[:, None] * s**2
    shrinkage = gain / (1 + gain)
    left = examples @ y**2 - shrinkage @ along**2
    shape, rate = _SHAPE + examples.sum() / 2, _RATE + left / 2
    log_evidence = -np.log1p(gain).sum(1) / 2 - shape * np.log(rate)
    evidence = np.exp(log_evidence - log_evidence.max())
    weights = (RATIOS[:, None] * s / (1 + gain) * along) @ directions
    return Posterior(evidence / evidence.sum(), weights, rate / (shape - 1), shrinkage, directions)
