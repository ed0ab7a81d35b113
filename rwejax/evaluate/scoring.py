"""What estimators say of populations: one objective each, beside the costs of the networks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evaluate.ridge import RidgeScores
from rwejax.objectives import COMPLEXITY, score
from rwejax.spaces import Space


class Scored(NamedTuple):
    """What a population is worth.

    Attributes:
        objectives: one column an estimator, lower is better; infinite where an estimator has no number, or a network
            failed in every initialisation.
        scores: what is recorded of each genome, by name: the four ridge scores for `rwe`, else the estimator's own.
        failed: initialisations with NaN or infinite features for `rwe`; for others 1 where there is no finite score.
    """

    objectives: Float[np.ndarray, "n estimators"]
    scores: dict[str, Float[np.ndarray, " n"]]
    failed: Int[np.ndarray, " n"]


class PopulationScorer:
    """Scores populations by one or two estimators at once, each compiled once.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        names: of the estimators.
        seeds: initialisations that every score is averaged over.
        options: further arguments of `RandomWeightEvaluator`, for `rwe`.

    Raises:
        InputError: no estimator has such a name, or one is named twice, or an argument is out of its range.
    """

    def __init__(self, space: Space, dataset: Dataset, names: Sequence[str], seeds: int, **options: Any) -> None:
        if len(set(names)) < len(names):
            raise InputError(f"estimator {','.join(names)!r} names one twice: give each once")
        self._rwe = RandomWeightEvaluator(space, dataset, seeds=seeds, **options) if "rwe" in names else None
        self._estimators = {
            name: estimators.get(name, space, dataset, **({} if name in COMPLEXITY else {"seeds": seeds}))
            for name in names
            if name != "rwe"
        }
        self._names, self._seeds = tuple(names), seeds

    def __call__(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Scored:
        """Score a population; the same key gives the same weights."""
        columns: list[np.ndarray] = []
        scores: dict[str, np.ndarray] = {}
        failed = np.zeros(len(genomes), int)
        for name in self._names:
            if name == "rwe":
                assert self._rwe is not None
                found = self._rwe(key, genomes)
                scores |= {each: getattr(found, each) for each in RidgeScores._fields if each != "failed"}
                failed += found.failed
                column = np.where(found.failed == self._seeds, np.inf, found.objective)
            else:
                values = np.asarray(self._estimators[name](key, genomes), float)
                values = np.where(np.isfinite(values), values, -np.inf)
                if name not in COMPLEXITY:
                    scores[name] = values
                failed += ~np.isfinite(values)
                column = score(name).minimised(values)
            columns.append(np.where(np.isfinite(column), column, np.inf))
        return Scored(np.stack(columns, 1), scores, failed)

    def reference(self, first: Float[np.ndarray, "n estimators"]) -> tuple[float, ...] | None:
        """What a hypervolume is measured from: the worst sensible score for `rwe`, else the worst of a population.

        Args:
            first: objectives of a run's first population.

        Returns:
            One value an estimator; None if no network of the population has a score of one of them.
        """
        worst = np.where(np.isfinite(first), first, -np.inf).max(0, initial=-np.inf)
        found = tuple(
            self._rwe.reference if name == "rwe" and self._rwe is not None else float(value)
            for name, value in zip(self._names, worst, strict=True)
        )
        return found if np.isfinite(found).all() else None
