"""Estimators: what an untrained network is worth, each by its own idea; higher is always better."""

import inspect
from collections.abc import Callable
from typing import Any

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.estimators import (
    complexity,
    fisher,
    fit_path,
    grad_norm,
    grasp,
    jacob_cov,
    nwot,
    rwe,
    rwf,
    short_training,
    snip,
    synflow,
)
from rwejax.evaluate.estimators.complexity import Estimate
from rwejax.evaluate.estimators.per_network import Classifier, PerNetworkEstimator
from rwejax.networks import Norm
from rwejax.spaces import Space


def _single(score: Callable[[Classifier], Any], default_images: int = 128, **fixed: Any) -> Callable[..., Estimate]:
    def make(space: Space, dataset: Dataset, *, seeds: int = 1, images: int | None = None) -> Estimate:
        images = min(default_images, len(dataset.train_images)) if images is None else images
        return PerNetworkEstimator(space, dataset, score, seeds=seeds, images=images, **fixed)

    return make


_ESTIMATORS: dict[str, Callable[..., Estimate]] = {
    "rwe": rwe.ridge,
    "rwe_softmax": rwe.softmax,
    "rwf": _single(rwf.score, 400, pool=2),
    "fit_path": _single(fit_path.score, 400),
    "nwot": _single(nwot.score),
    "synflow": _single(synflow.score, norm=Norm.NONE, double=True),
    "snip": _single(snip.score),
    "grasp": _single(grasp.score),
    "fisher": _single(fisher.score),
    "grad_norm": _single(grad_norm.score),
    "jacob_cov": _single(jacob_cov.score),
    "short_training": _single(short_training.score, 500),
    "macs": complexity.macs,
    "params": complexity.params,
}

__all__ = ["Estimate", "get", "names"]


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_ESTIMATORS)


def get(name: str, space: Space, dataset: Dataset, **options: Any) -> Estimate:
    """The estimator of that name.

    Args:
        name: one of `names()`.
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        options: `seeds`, initialisations to average over; and for those that look at one batch, `images`, its size.

    Returns:
        A function of a key, which draws the weights, and genomes, to their scores; higher is better.

    Raises:
        InputError: no estimator has that name, or it has no such option, or an option is out of its range.
    """
    if name not in _ESTIMATORS:
        raise InputError(f"estimator {name!r} is unknown: choose one of {', '.join(names())}")
    known = [each for each in inspect.signature(_ESTIMATORS[name]).parameters if each not in ("space", "dataset")]
    for option in options:
        if option not in known:
            raise InputError(f"estimator {name!r} has no option {option!r}: it takes {', '.join(known) or 'none'}")
    return _ESTIMATORS[name](space, dataset, **options)
