"""A race: all genomes see the first images, and only those that can still reach the front see the others.

What a genome scores on all images is predicted from its score on the first ones, by the mean difference of the earlier
genomes that saw both. It drops out if one of these with no more multiply-adds is better even than the predicted score
less a standard deviation of the differences.

Candidates that a part of the data rules out are dropped early in Maron and Moore, "Hoeffding races", NIPS 1993; they
bound the error of a mean from above, and here it is measured.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.scoring import PopulationScorer, Scored
from rwejax.objectives import RACE_ERROR, score
from rwejax.spaces import Space

_DEVICES = 16  # that divide the calibration images of the first ones, where these are so many


class Earlier(NamedTuple):
    """Evaluations before a population.

    Attributes:
        first: what was minimised, on the first images.
        whole: the same on all images; infinite where a genome did not see them.
        macs: multiply-adds, in any unit.
    """

    first: Float[np.ndarray, " earlier"]
    whole: Float[np.ndarray, " earlier"]
    macs: Float[np.ndarray, " earlier"]


class Race:
    """Scores populations by random-weight evaluation, on all images only where that may change the front.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        images: how many of them all genomes see, train and validation images in the proportion of the dataset.
        calibration_images: as for `RandomWeightEvaluator`.
        options: further arguments of `PopulationScorer`.

    Raises:
        InputError: there are no more images than that, or they are fewer than two a class, or space and dataset do
            not fit.
    """

    def __init__(
        self, space: Space, dataset: Dataset, images: int, *, calibration_images: int = 400, **options: Any
    ) -> None:
        dataset = checked(space, dataset)
        train, validation = len(dataset.train_labels), len(dataset.validation_labels)
        if not 2 * dataset.classes <= images < train + validation:
            raise InputError(
                f"race_images is {images} of {train + validation} images of {dataset.classes} classes: give fewer than "
                f"there are, and {2 * dataset.classes} or more"
            )
        some = round(images * train / (train + validation))
        first = dataclasses.replace(
            dataset,
            train_images=dataset.train_images[:some],
            train_labels=dataset.train_labels[:some],
            validation_images=dataset.validation_images[: images - some],
            validation_labels=dataset.validation_labels[: images - some],
        )
        calibration = min(calibration_images, some // _DEVICES * _DEVICES or some)
        self._space = space
        self._first = PopulationScorer(space, first, ("rwe",), calibration_images=calibration, **options)
        self._whole = PopulationScorer(space, dataset, ("rwe",), calibration_images=calibration_images, **options)

    def __call__(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"], earlier: Earlier) -> Scored:
        """Score a population; the same key gives the same weights.

        Args:
            key: draws the weights.
            genomes: the population.
            earlier: what was evaluated before, with the same key; if nothing was, all genomes see all images.

        Returns:
            The objectives, predicted for genomes that have dropped out; scores on all images, the worst there are where
            these were not seen; and `race_error`, the objective on the first images.
        """
        first = self._first(key, genomes)
        start = first.objectives[:, 0]
        predicted, spread = predict(start, earlier)
        enters = can_reach_front(predicted - spread, self._space.macs(genomes), earlier)
        objectives, failed = predicted.copy(), first.failed.copy()
        worst = {name: -np.inf if score(name).maximised else np.inf for name in first.scores}
        scores = {name: np.full(len(genomes), value) for name, value in worst.items()}
        if enters.any():
            whole = self._whole(key, genomes[enters])
            objectives[enters], failed[enters] = whole.objectives[:, 0], whole.failed
            for name, values in whole.scores.items():
                scores[name][enters] = values
        return Scored(objectives[:, None], scores | {RACE_ERROR.name: start}, failed)

    def reference(self, first: Float[np.ndarray, "n estimators"]) -> tuple[float, ...] | None:
        """What a hypervolume is measured from; see `PopulationScorer.reference`."""
        return self._whole.reference(first)


def predict(first: Float[np.ndarray, " n"], earlier: Earlier) -> tuple[Float[np.ndarray, " n"], float]:
    """What genomes will score on all images, and the standard deviation of the error of that.

    As long as fewer than two earlier genomes have finite scores on both, the prediction is the score itself and the
    standard deviation infinite.

    Args:
        first: scores on the first images, lower is better.
        earlier: genomes that were evaluated before, scored in the same unit.

    Returns:
        The predicted scores, in that unit; and the standard deviation of what the earlier genomes' scores changed by.

    Examples:
        >>> import numpy as np
        >>> earlier = Earlier(np.array([50.0, 60.0, 70.0]), np.array([44.0, 56.0, np.inf]), np.array([3.0, 2.0, 1.0]))
        >>> predicted, spread = predict(np.array([40.0]), earlier)
        >>> predicted.tolist(), round(spread, 3)
        ([35.0], 1.414)
    """
    seen = np.isfinite(earlier.first) & np.isfinite(earlier.whole)
    if seen.sum() < 2:
        return first, np.inf
    differences = earlier.whole[seen] - earlier.first[seen]
    return first + differences.mean(), float(differences.std(ddof=1))


def can_reach_front(
    hoped: Float[np.ndarray, " n"], macs: Float[np.ndarray, " n"] | Int[np.ndarray, " n"], earlier: Earlier
) -> Bool[np.ndarray, " n"]:
    """Whether no earlier genome that saw all images is as good as hoped for with no more multiply-adds.

    Args:
        hoped: the best score that each genome may reach, lower is better.
        macs: multiply-adds of each genome, in the unit of `earlier.macs`.
        earlier: genomes that were evaluated before; those whose score on all images is not finite rule nothing out.

    Examples:
        >>> import numpy as np
        >>> earlier = Earlier(np.array([50.0, 60.0]), np.array([44.0, np.inf]), np.array([3.0, 2.0]))
        >>> can_reach_front(np.array([44.5, 43.5, 50.0]), np.array([3, 3, 2]), earlier).tolist()
        [False, True, True]
    """
    better = (earlier.whole <= hoped[:, None]) & (earlier.macs <= macs[:, None]) & np.isfinite(earlier.whole)
    return ~better.any(1)
