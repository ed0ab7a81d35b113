"""Estimators: what an untrained network is worth, each by its own idea; higher is always better."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rwejax import plugins
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
    rwe_softmax,
    rwf,
    short_training,
    snip,
    synflow,
    zen,
)
from rwejax.evaluate.estimators.complexity import Estimate
from rwejax.evaluate.estimators.per_network import Classifier, PerNetworkEstimator
from rwejax.evaluate.forward import ForwardPass
from rwejax.evaluate.heads import ForwardScore, Seen
from rwejax.evaluate.inputs import check_batch, checked
from rwejax.evaluate.random_weight import RIDGE, check_counts
from rwejax.networks import Norm
from rwejax.objectives import FORWARD_SCORES
from rwejax.runtime.devices import default_devices
from rwejax.spaces import Space

FORWARD: dict[str, ForwardScore] = {
    "rwe": RIDGE,
    "rwe_softmax": rwe_softmax.SCORE,
    "rwf": rwf.SCORE,
    "fit_path": fit_path.SCORE,
    "nwot": nwot.SCORE,
}
"""The estimators that need one pass forwards; any of them together need one."""


def together(
    names: Sequence[str], space: Space, dataset: Dataset, *, seeds: int = 1, images: int | None = None
) -> Callable[[jax.Array, Int[Any, "n genes"]], dict[str, Float[np.ndarray, " n"]]]:
    """Several estimators of `FORWARD` in one pass.

    Args:
        names: of the estimators.
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        seeds: initialisations to average over.
        images: calibration images, which are all that some of them look at; None: 400, or as many as there are.

    Returns:
        A function of a key, which draws the weights, and genomes, to the scores of each; higher is better.

    Raises:
        InputError: an option is out of its range, or there are too few images.
    """
    scores, dataset = [FORWARD[name] for name in names], checked(space, dataset)
    if any(score.all_images for score in scores):
        check_counts(dataset)
    check_batch(images, dataset)
    given: dict[str, Any] = {} if images is None else {"calibration_images": images}
    own_keys = tuple(names) != ("rwe",)
    run = ForwardPass(space, dataset, scores, seeds=seeds, three_keys=own_keys, devices=default_devices(), **given)

    def estimate(key: jax.Array, genomes: Int[Any, "n genes"]) -> dict[str, Float[np.ndarray, " n"]]:
        values, failed = run(key, genomes)
        if "rwe" in names:
            values["rwe"] = np.where(failed == seeds, -np.inf, -values["loo_error"])
        return {name: values[name] for name in names}

    return estimate


def _forward(name: str) -> Callable[..., Estimate]:
    def make(space: Space, dataset: Dataset, *, seeds: int = 1, images: int | None = None) -> Estimate:
        estimate = together((name,), space, dataset, seeds=seeds, images=images)
        return lambda key, genomes: estimate(key, genomes)[name]

    return make


def _softmax(space: Space, dataset: Dataset, *, seeds: int = 1) -> Estimate:
    return _forward("rwe_softmax")(space, dataset, seeds=seeds)


def _single(score: Callable[[Classifier], Any], default_images: int = 128, **fixed: Any) -> Callable[..., Estimate]:
    def make(space: Space, dataset: Dataset, *, seeds: int = 1, images: int | None = None) -> Estimate:
        images = min(default_images, len(dataset.train_images)) if images is None else images
        return PerNetworkEstimator(space, dataset, score, seeds=seeds, images=images, **fixed)

    return make


_ESTIMATORS: dict[str, Callable[..., Estimate]] = {
    "rwe": rwe.ridge,
    "rwe_softmax": _softmax,
    "rwf": _forward("rwf"),
    "fit_path": _forward("fit_path"),
    "nwot": _forward("nwot"),
    "synflow": _single(synflow.score, norm=Norm.NONE, double=True),
    "snip": _single(snip.score),
    "grasp": _single(grasp.score),
    "fisher": _single(fisher.score),
    "grad_norm": _single(grad_norm.score),
    "jacob_cov": _single(jacob_cov.score),
    "zen_score": _single(zen.score, pool=2),
    "short_training": _single(short_training.score, 500),
    "macs": complexity.macs,
    "params": complexity.params,
}

_registered: dict[str, Callable[..., Any]] = {}  # what users gave, by name

_TAKEN = (
    *("index", "generation", "architecture", "objectives", "failed", "seconds", "race_error"),
    *(score for scores in FORWARD_SCORES.values() for score in scores),
)
"""Names of what is recorded beside the estimators' scores."""

__all__ = [
    "FORWARD",
    "Classifier",
    "Estimate",
    "ForwardScore",
    "PerNetworkEstimator",
    "Seen",
    "get",
    "names",
    "options_of",
    "register_estimator",
    "register_references",
    "together",
]


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
    known = options_of(name)
    for option in options:
        if option not in known:
            raise InputError(f"estimator {name!r} has no option {option!r}: it takes {', '.join(known) or 'none'}")
    return _ESTIMATORS[name](space, dataset, **options)


def options_of(name: str) -> tuple[str, ...]:
    """The options that the estimator of that name takes.

    Args:
        name: one of `names()`.

    Returns:
        The names of the keyword arguments that `get` passes on, in the order of the estimator's signature.

    Raises:
        InputError: no estimator has that name.
    """
    if name not in _ESTIMATORS:
        raise InputError(f"estimator {name!r} is unknown: choose one of {', '.join(names())}")
    return tuple(each for each in inspect.signature(_ESTIMATORS[name]).parameters if each not in ("space", "dataset"))


def register_estimator(name: str, function: Callable[..., Any] | ForwardScore) -> None:
    """Make an estimator of your own known by its name, to `rwejax.search`, `correlate` and this module's `get`.

    Args:
        name: of letters, digits and underscores.
        function: of one parameter, a `Classifier`, to a scalar, the score of one untrained network, higher being
            better; it is compiled by JAX and averaged over the seeds. Or a factory,
            `make(space, dataset, *, seeds=1, images=None)`, which returns an estimate of whole populations: a function
            of a key and genomes to (n,) scores, such as a `PerNetworkEstimator`. Or a `ForwardScore` of one number,
            which has the estimator's name: it is a head of the pass that scores whole populations at once.

    Raises:
        InputError: the name is taken or cannot be one, or the function is none of the three.

    Examples:
        >>> import jax
        >>> import rwejax
        >>> from rwejax import data, spaces
        >>> def logit_scale(net):
        ...     return abs(net.logits(net.params, net.images)).mean()
        >>> rwejax.register_estimator("logit_scale", logit_scale)
        >>> dataset = data.load("digits", train=20, validation=10)
        >>> space = spaces.get("macro", nodes=2, channels=2, input_shape=dataset.image_shape)
        >>> estimate = get("logit_scale", space, dataset, images=10)
        >>> scores = estimate(jax.random.key(0), space.sample(jax.random.key(1), 3))
        >>> scores.shape, bool((scores > 0).all())
        ((3,), True)
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise InputError(f"estimator {name!r} has no proper name: give letters, digits and underscores")
    code = function.head if isinstance(function, ForwardScore) else function
    taken = name in _TAKEN or (name in _ESTIMATORS and name not in _registered)
    if taken or (name in _registered and not plugins.alike(_registered[name], code)):
        raise InputError(f"estimator {name!r} has the name of something else: give it another name")
    if isinstance(function, ForwardScore):
        if function.names != (name,):
            raise InputError(f"estimator {name!r} gives {', '.join(function.names)}: give one number of its own name")
        FORWARD[name] = function
        _ESTIMATORS[name] = _forward(name)
    else:
        FORWARD.pop(name, None)
        _ESTIMATORS[name] = _factory(name, function)
    _registered[name] = code
    plugins.note(function)


def register_references(text: str) -> None:
    """Make the estimators of users' files known by their names.

    Args:
        text: estimators with commas between them, of which those that are FILE.py:NAME count; see `rwejax.plugins`.

    Raises:
        InputError: a file was not loaded, or see `register_estimator`.
    """
    for each in text.split(","):
        if plugins.parse(each):
            register_estimator(plugins.name_of(each), plugins.find(each, "--estimator"))


def _factory(name: str, function: Callable[..., Any]) -> Callable[..., Estimate]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise InputError(f"estimator {name!r} is no function: give a function of a network, or a factory") from error
    needed = [each for each in parameters.values() if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    if len(needed) == 1:
        return _single(_scalar(name, function))
    if len(needed) != 2 or not {"seeds", "images"} <= set(parameters):
        raise InputError(
            f"estimator {name!r} takes {', '.join(parameters) or 'nothing'}: give a function of one network, or a "
            "factory (space, dataset, *, seeds=1, images=None)"
        )
    return function


def _scalar(name: str, function: Callable[[Classifier], Any]) -> Callable[[Classifier], Float[Array, ""]]:
    def score(net: Classifier) -> Float[Array, ""]:
        value = jnp.asarray(function(net))
        if value.shape != ():
            raise InputError(f"estimator {name!r} returns an array of shape {value.shape}: return a single number")
        return value

    return score
