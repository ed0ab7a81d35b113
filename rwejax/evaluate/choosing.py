"""Which networks to train next, so that a predictor learns most where a search looks."""

import numpy as np
from jaxtyping import Bool, Float, Int

from rwejax.evaluate.predictor import Prediction


def spread(
    values: Float[np.ndarray, " n"], costs: Float[np.ndarray, " n"], count: int, taken: Bool[np.ndarray, " n"]
) -> Int[np.ndarray, " count"]:
    """The best network of each of `count` groups of similar cost.

    Args:
        values: of all networks, higher is better: a prior at first, later what `optimistic` gives.
        costs: of the networks, which are divided into groups of equal numbers.
        count: networks to choose.
        taken: those that are not to be chosen.

    Returns:
        Their rows, the cheapest first; fewer than `count` where no more are left.
    """
    left = np.flatnonzero(~taken)
    order = left[np.lexsort((left, costs[left]))]
    groups = [group for group in np.array_split(order, count) if len(group)]
    return np.array([group[np.argmax(values[group])] for group in groups], int)


def optimistic(prediction: Prediction, doubt: float = 1.0) -> Float[np.ndarray, " n"]:
    """How good networks may be: the upper confidence bound [1] of what is predicted.

    [1] Srinivas, Krause, Kakade, Seeger, "Gaussian process optimization in the bandit setting", ICML 2010.

    Args:
        prediction: of the networks.
        doubt: standard deviations that are added; 0 trusts the prediction.
    """
    return prediction.normal + doubt * prediction.normal_std
