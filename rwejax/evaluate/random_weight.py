"""Random-weight evaluation: keep the random weights, fit the last layer, and rank by its error.

[1] Hu, Cheng, He, Lu, Wang, Zhang, "Accelerating multi-objective neural architecture search by random-weight
    evaluation", Complex & Intelligent Systems 2021, https://arxiv.org/abs/2110.05242
[2] Hu, Cheng, He, Lu, "Multi-objective neural architecture search with almost no training", EMO 2021,
    https://arxiv.org/abs/2011.13591

Ours by choice: kernels belong to slots and so are shared by the genomes of a population, normalisation statistics come
from a calibration batch, and the head is a closed-form ridge.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.forward import ForwardPass
from rwejax.evaluate.heads import ForwardScore, Seen
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.ridge import FAILED, constant_scores, ridge_scores
from rwejax.objectives import RWE_SCORES
from rwejax.runtime.devices import default_devices
from rwejax.spaces import Space


@struct.dataclass
class Scores:
    """The scores of a population, each averaged over the initialisations.

    Attributes:
        loo_error: leave-one-out error on train and validation images, in %.
        validation_error: error on the validation images of a head fitted on the train images, in %.
        loo_squared_error: leave-one-out squared error, summed over the entries of the one-hot target.
        log_evidence: log marginal likelihood of the targets, in nats an image and class; higher is better.
        failed: number of initialisations with NaN or infinite features, or with none since no path leads through the
            network; they score 100 %, infinity or minus infinity.
        score: the name of the score that ranks.
    """

    loo_error: Float[np.ndarray, " n"]
    validation_error: Float[np.ndarray, " n"]
    loo_squared_error: Float[np.ndarray, " n"]
    log_evidence: Float[np.ndarray, " n"]
    failed: Int[np.ndarray, " n"]
    score: str = struct.field(pytree_node=False, default="loo_error")

    @property
    def error(self) -> Float[np.ndarray, " n"]:
        """The classification error in %: on the validation images where they rank, else leave-one-out."""
        return self.validation_error if self.score == "validation_error" else self.loo_error

    @property
    def objective(self) -> Float[np.ndarray, " n"]:
        """The score that ranks, signed so that lower is better."""
        return RWE_SCORES[self.score].minimised(getattr(self, self.score))


def _ridge(net: Seen) -> Mapping[str, Float[Array, ""]]:
    scores = ridge_scores(net.features[1], net.labels, net.classes, net.train)._asdict()
    return {name: scores[name] for name in RWE_SCORES}


RIDGE = ForwardScore(_ridge, {name: FAILED[name] for name in RWE_SCORES}, all_images=True)
"""The four scores of the closed-form head."""


class RandomWeightEvaluator:
    """Scores whole populations by random-weight evaluation, in one compiled pass.

    The first call compiles, later calls of any population do not. Equal parts of different genomes are computed once.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        seeds: initialisations to average over.
        score: which of `RWE_SCORES` ranks.
        genomes_per_program: genomes that are evaluated together, by default the size of the first population, at most
            64 and as many as a third of a CPU's or TPU's memory holds, or half of a GPU's. Memory grows with it; so
            does the share of work that genomes have in common.
        images_per_batch: images that a device takes through the networks at once. By default a CPU's largest feature
            map of a batch has about 2 MiB, and an accelerator takes all, if it holds their maps, and else 1,024.
        calibration_images: the first so many train images, or all of them, give the normalisation statistics.
        precision: of the networks. "float32" computes products in full; "tensorfloat32" lets the hardware keep fewer
            bits of their factors, which a CPU never does; "bfloat16" keeps kernels and feature maps in 16 bits, which
            halves the memory, and which a CPU only imitates. "auto" is the first on a CPU, the second on a GPU and the
            third on a TPU, see `rwejax.runtime.device_kinds`. Sums, statistics, features and head are float32 in full.
        devices: the devices over which the images are split; by default all of JAX's, as far as they divide the
            calibration images. Where they are those of several hosts, each host makes the same calls, takes its part
            of the genomes, and gets all of the scores.

    Raises:
        InputError: an argument is out of its range, or space and dataset do not fit.

    Examples:
        >>> import jax
        >>> from rwejax import data, spaces
        >>> dataset = data.load("digits", train=100, validation=50)
        >>> space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape)
        >>> evaluate = RandomWeightEvaluator(space, dataset)
        >>> scores = evaluate(jax.random.key(0), space.sample(jax.random.key(1), 3))
        >>> scores.error.shape, bool((scores.error < 90).all())
        ((3,), True)
    """

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        seeds: int = 1,
        score: str = "loo_error",
        genomes_per_program: int | None = None,
        images_per_batch: int | None = None,
        calibration_images: int = 400,
        precision: str = "auto",
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        self.reference = worst_sensible(score, space, dataset)
        self.forward = ForwardPass(
            space,
            dataset,
            (RIDGE,),
            seeds=seeds,
            genomes_per_program=genomes_per_program,
            images_per_batch=images_per_batch,
            calibration_images=calibration_images,
            precision=precision,
            devices=default_devices() if devices is None else devices,
        )
        self.space, self.dataset, self.seeds, self.score = space, self.forward.dataset, seeds, score

    def __call__(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Scores:
        """Score a population.

        Args:
            key: draws the weights; the same key gives the same weights.
            genomes: the population; genomes that decode to the same network get the same scores.

        Returns:
            The scores, as numpy arrays in the order of the genomes.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        values, failed = self.forward(key, genomes)
        return Scores(**values, failed=failed, score=self.score)

    def features(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Float[np.ndarray, "n images d"]:
        """The pooled features behind the scores, for studies; a search never moves them off the device.

        Args:
            key: draws the weights; the features are those of the first of the evaluator's `seeds` draws.
            genomes: the population.

        Returns:
            For each genome one row an image, the train images first, before standardisation; zeros for a network
            through which no path leads.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        return self.forward.features(key, genomes)

    def export(self, genomes: int, platforms: Sequence[str]) -> jax.export.Exported:
        """Lower (program, images, kernels, keys) -> scores for other platforms; see `ForwardPass.export`.

        Args:
            genomes: the number of genomes that a program holds.
            platforms: "cpu", "cuda", "rocm" or "tpu".

        Returns:
            The lowering, made without a population and without those devices.
        """
        return self.forward.export(genomes, platforms)


def worst_sensible(score: str, space: Space, dataset: Dataset) -> float:
    """The worst sensible value of a score of random-weight evaluation, to be minimised.

    Args:
        score: one of `RWE_SCORES`.
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.

    Raises:
        InputError: there is no such score, or too few images for one, or space and dataset do not fit.
    """
    if score not in RWE_SCORES:
        raise InputError(f"score {score!r} is unknown: choose one of {', '.join(RWE_SCORES)}")
    dataset = checked(space, dataset)
    check_counts(dataset)
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    return float(RWE_SCORES[score].minimised(constant_scores(labels, dataset.classes)[score]))


def check_counts(dataset: Dataset) -> None:
    """Refuse too few images: a leave-one-out residual needs two, and a validation error one more.

    Args:
        dataset: images and labels.

    Raises:
        InputError: there are too few.
    """
    for name, least in (("train", 2), ("validation", 1)):
        if (count := len(getattr(dataset, f"{name}_labels"))) < least:
            raise InputError(f"the dataset has {count} {name} images: give {least} or more")
