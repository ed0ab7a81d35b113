"""Random-weight evaluation as an estimator: minus the error of a head on random features, higher is better.

[1] Hu, Cheng, He, Lu, Wang, Zhang, "Accelerating multi-objective neural architecture search by random-weight
    evaluation", Complex & Intelligent Systems 2021, https://arxiv.org/abs/2110.05242
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.estimators.complexity import Estimate
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evaluate.ridge import standardise_features
from rwejax.spaces import Space

_EPOCHS = 30
_BATCH = 50
_LEARNING_RATE = 0.1


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


def softmax(space: Space, dataset: Dataset, *, seeds: int = 1) -> Estimate:
    """Minus the validation error in % of a softmax layer that SGD fits to the train images, the papers' way [1].

    A network through which no path leads, or with NaN or infinite features, scores minus infinity.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        seeds: initialisations to average over, each with a head of its own.

    Returns:
        A function of a key, which draws the weights and the order of the images, and (n, genes) integers to (n,)
        scores.

    Raises:
        InputError: `seeds` is below 1, or space and dataset do not fit.
    """
    if seeds < 1:
        raise InputError(f"seeds is {seeds}: give 1 or more")
    evaluate = RandomWeightEvaluator(space, dataset)
    dataset = evaluate.dataset
    head = jax.jit(lambda rows, key: lax.map(lambda row: _validation_error(row, dataset, key), rows))

    def estimate(key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        errors = []
        for draw in jax.random.split(key, seeds):
            key_weights, key_head = jax.random.split(draw)
            with jax.enable_x64(False):
                errors.append(np.asarray(head(evaluate.features(key_weights, genomes), key_head)))
        return -np.mean(errors, 0)

    return estimate


def _validation_error(features: Float[Array, "n d"], dataset: Dataset, key: jax.Array) -> Float[Array, ""]:
    train = len(dataset.train_labels)
    x, labels = standardise_features(features, features[:train]), jnp.asarray(dataset.train_labels)
    batch = min(_BATCH, train)
    steps = _EPOCHS * (train // batch)
    optimiser = optax.sgd(optax.cosine_decay_schedule(_LEARNING_RATE, steps), momentum=0.9)
    params = {"kernel": jnp.zeros((x.shape[1], dataset.classes), x.dtype), "bias": jnp.zeros(dataset.classes, x.dtype)}

    def loss(params: dict[str, Array], chosen: Array) -> Array:
        logits = x[chosen] @ params["kernel"] + params["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

    def step(carry: tuple, chosen: Array) -> tuple[tuple, None]:
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params, chosen), state)
        return (optax.apply_updates(params, updates), state), None

    orders = jax.vmap(lambda key: jax.random.permutation(key, train)[: train // batch * batch])(
        jax.random.split(key, _EPOCHS)
    )
    (params, _), _ = lax.scan(step, (params, optimiser.init(params)), orders.reshape(steps, batch))
    predicted = (x[train:] @ params["kernel"] + params["bias"]).argmax(-1)
    wrong = predicted != jnp.asarray(dataset.validation_labels)
    alive = jnp.isfinite(features).all() & features.any()
    return jnp.where(alive, 100 * wrong.mean(dtype=jnp.float32), jnp.inf)
