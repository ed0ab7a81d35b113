"""What estimators say of populations: one objective each, beside the costs of the networks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.forward import ForwardPass
from rwejax.evaluate.random_weight import worst_sensible
from rwejax.genomes import check_genomes
from rwejax.objectives import COMPLEXITY, RWE_SCORES
from rwejax.objectives import score as objective_of
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
    """Scores populations by one or two estimators at once, each compiled once; those that look forwards make one pass.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        names: of the estimators.
        seeds: initialisations that every score is averaged over.
        score: which score of `rwe` ranks.
        extras: names of forward estimators that are scored in the same pass besides.
        options: further arguments of `ForwardPass`.

    Attributes:
        forward: the pass that all estimators share which look forwards; None: there is none.

    Raises:
        InputError: no estimator has such a name, or one is named twice, or an argument is out of its range.
    """

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        names: Sequence[str],
        seeds: int,
        *,
        score: str = "loo_error",
        extras: Sequence[str] = (),
        **options: Any,
    ) -> None:
        if len(set(names)) < len(names):
            raise InputError(f"estimator {','.join(names)!r} names one twice: give each once")
        self._space, self._names, self._rwe_score = space, tuple(names), score
        self._worst = worst_sensible(score, space, dataset) if "rwe" in names else None
        looks = [name for name in names if name in estimators.FORWARD]
        seen = dict.fromkeys((*looks, *extras))
        scores = [estimators.FORWARD[name] for name in seen]
        three_keys = not set(looks) <= {"rwe"}
        self.forward = (
            ForwardPass(space, dataset, scores, seeds=seeds, three_keys=three_keys, **options) if seen else None
        )
        self._others = {
            name: estimators.get(name, space, dataset, **({} if name in COMPLEXITY else {"seeds": seeds}))
            for name in names
            if name not in looks
        }
        self._seeds = seeds

    def __call__(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Scored:
        """Score a population; the same key gives the same weights."""
        genomes = check_genomes(self._space, genomes)
        scores: dict[str, np.ndarray] = {}
        failed = np.zeros(len(genomes), int)
        lost = np.zeros(len(genomes), bool)
        if self.forward is not None:
            values, failures = self.forward(key, genomes)
            scores, lost = dict(values), failures == self._seeds
            failed += failures if "rwe" in self._names else 0
        columns = []
        for name in self._names:
            if name == "rwe":
                column = np.where(lost, np.inf, RWE_SCORES[self._rwe_score].minimised(scores[self._rwe_score]))
            else:
                if name in self._others:
                    scores[name] = np.asarray(self._others[name](key, genomes), float)
                values_of = scores[name] = np.where(np.isfinite(scores[name]), scores[name], -np.inf)
                failed += ~np.isfinite(values_of)
                column = objective_of(name).minimised(values_of)
            columns.append(np.where(np.isfinite(column), column, np.inf))
        recorded = {name: values for name, values in scores.items() if name not in COMPLEXITY}
        return Scored(np.stack(columns, 1), recorded, failed)

    def reference(self, first: Float[np.ndarray, "n estimators"]) -> tuple[float, ...] | None:
        """What a hypervolume is measured from: the worst sensible score for `rwe`, else the worst of a population.

        Args:
            first: objectives of a run's first population.

        Returns:
            One value an estimator; None if no network of the population has a score of one of them.
        """
        worst = np.where(np.isfinite(first), first, -np.inf).max(0, initial=-np.inf)
        found = tuple(
            self._worst if name == "rwe" and self._worst is not None else float(value)
            for name, value in zip(self._names, worst, strict=True)
        )
        return found if np.isfinite(found).all() else None
