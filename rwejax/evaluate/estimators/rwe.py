"""Random-weight evaluation as an estimator: minus the error of a head on random features, higher is better."""

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.data import Dataset
from rwejax.evaluate.estimators.complexity import Estimate
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.spaces import Space


def ridge(space: Space, dataset: Dataset, *, seeds: int = 1, score: str = "loo_error") -> Estimate:
    """Minus a score of the closed-form head, as `rwejax.RandomWeightEvaluator` gives it.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        seeds: initialisations to average over.
        score: which of `rwejax.objectives.RWE_SCORES`; one of which more is better, such as the log evidence, keeps its
            sign.

    Returns:
        A function of a key, which draws the weights, and (n, genes) integers to (n,) scores; minus infinity for a
        network that failed in every initialisation.

    Raises:
        InputError: there is no such score, `seeds` is below 1, or space and dataset do not fit.
    """
    evaluate = RandomWeightEvaluator(space, dataset, seeds=seeds, score=score)

    def estimate(key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        scores = evaluate(key, genomes)
        return np.where(scores.failed == seeds, -np.inf, -scores.objective)

    return estimate
