"""One step of training, and the measurement of a network, compiled once each."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state
from jaxtyping import Array, Float, Int

from rwejax import networks
from rwejax.evaluate.population.augment import augment
from rwejax.networks import PlainNetwork
from rwejax.training.config import TrainConfig

Images = Array | np.ndarray  # standardised floats, or pixels of 8 bits
Labels = Int[Array | np.ndarray, " images"]
Sums = dict[str, Float[Array, ""]]


class TrainState(train_state.TrainState):
    """Weights, running statistics, and the optimiser's momentum."""

    batch_stats: Any


def first_state(seed: int, network: PlainNetwork, shape: tuple[int, int, int], tx: Any) -> TrainState:
    """Random weights, and statistics that have seen nothing.

    Args:
        seed: draws the weights.
        network: the network.
        shape: height, width and channels of an image.
        tx: the optimiser.
    """
    return jax.jit(functools.partial(_create, network, tx))(networks.first_variables(seed, network, shape))


def state_shapes(network: PlainNetwork, shape: tuple[int, int, int], tx: Any) -> TrainState:
    """The shapes of a state's arrays.

    Args:
        network: the network.
        shape: height, width and channels of an image.
        tx: the optimiser.
    """
    return jax.eval_shape(functools.partial(_create, network, tx), networks.variable_shapes(network, shape))


def _create(network: PlainNetwork, tx: Any, variables: Mapping[str, Any]) -> TrainState:
    state = TrainState.create(
        apply_fn=network.apply, params=variables["params"], tx=tx, batch_stats=variables["batch_stats"]
    )
    return state.replace(step=jnp.int32(0))


def to_arrays(state: TrainState) -> dict[str, Any]:
    """The arrays of a state by name."""
    return {_name(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def from_arrays(template: TrainState, arrays: Mapping[str, Any]) -> TrainState:
    """The state whose arrays these are, of the template's structure.

    Args:
        template: a state of the same network and optimiser; its leaves may be shapes alone, as `jax.eval_shape` gives.
        arrays: by name, as `to_arrays` gives them.

    Raises:
        KeyError: an array of the template is missing.
    """
    paths, structure = jax.tree.flatten_with_path(template)
    return jax.tree.unflatten(structure, [arrays[_name(path)] for path, _ in paths])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def make_step(
    config: TrainConfig, steps: int, standardise: Callable[[Images], Array], **changes: Any
) -> Callable[[jax.Array, TrainState, Images, Labels], tuple[TrainState, Sums]]:
    """A function (key, state, images, labels) -> the state after one step, and sums over its images.

    Args:
        config: the training.
        steps: of the whole training, over which drop-path rises.
        standardise: brings images as they are given to zero mean and unit variance.
        changes: how the images are changed at random; see `augment`.
    """

    def step(key: jax.Array, state: TrainState, images: Images, labels: Labels) -> tuple[TrainState, Sums]:
        key_images, key_drop = jax.random.split(jax.random.fold_in(key, state.step))
        images = augment(key_images, standardise(images), **changes)
        drop_path = config.drop_path * jnp.asarray(state.step, jnp.float32) / steps if config.drop_path else 0.0

        def loss(params: Any) -> tuple[Array, Any]:
            outputs, moved = state.apply_fn(
                {"params": params, "batch_stats": state.batch_stats},
                images,
                train=True,
                drop_path=drop_path,
                rngs={"drop_path": key_drop},
                mutable=["batch_stats"],
            )
            logits, *auxiliary = outputs if config.auxiliary else (outputs,)
            targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
            targets = optax.smooth_labels(targets, config.label_smoothing)
            losses = optax.softmax_cross_entropy(logits, targets)
            total = losses.mean() + sum(
                config.auxiliary * optax.softmax_cross_entropy(each, targets).mean() for each in auxiliary
            )
            sums = {"loss": losses.sum(), "correct": (logits.argmax(-1) == labels).sum().astype(jnp.float32)}
            return total, (sums, moved["batch_stats"])

        gradients, (sums, batch_stats) = jax.grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradients, batch_stats=batch_stats), sums

    return jax.jit(step, donate_argnums=1)


def make_measure(
    standardise: Callable[[Images], Array],
) -> Callable[[TrainState, Images, Labels], tuple[Sums, tuple[Array, Array]]]:
    """A function (state, images, labels) -> sums, without images of a label below 0; likeliest classes, and how likely.

    Args:
        standardise: brings images as they are given to zero mean and unit variance.
    """

    def measure(state: TrainState, images: Images, labels: Labels) -> tuple[Sums, tuple[Array, Array]]:
        logits = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, standardise(images))
        counts = labels >= 0
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
        predicted = logits.argmax(-1)
        sums = {
            "loss": jnp.where(counts, losses, 0).sum(),
            "correct": (counts & (predicted == labels)).sum().astype(jnp.float32),
        }
        return sums, (predicted, jax.nn.softmax(logits).max(-1))

    return jax.jit(measure)
