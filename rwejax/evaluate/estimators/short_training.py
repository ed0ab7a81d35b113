"""Short training: the accuracy of a network after a few epochs on few images, the classical low-fidelity estimate.

A network is trained with momentum, cosine decay and batch statistics, and judged on images that it has not seen. The
weights of one network are those of its slots; each is trained from there by itself.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier, Params

_EPOCHS = 5
_BATCH = 50
_LEARNING_RATE = 0.05


def score(net: Classifier) -> Float[Array, ""]:
    """The accuracy in % on the last fifth of the images, after training on the others; higher is better."""
    held_out = len(net.images) // 5
    batch = min(_BATCH, len(net.images) - held_out)
    batches = (len(net.images) - held_out) // batch
    steps = _EPOCHS * batches
    optimiser = optax.chain(
        optax.clip_by_global_norm(5.0),
        optax.sgd(optax.cosine_decay_schedule(_LEARNING_RATE, steps), momentum=0.9),
    )
    keys = jax.random.split(net.key, _EPOCHS)
    order = jax.vmap(lambda key: jax.random.permutation(key, batches * batch))(keys).reshape(steps, batch)

    def step(carry: tuple[Params, optax.OptState], chosen: Array) -> tuple[tuple[Params, optax.OptState], None]:
        params, state = carry

        def loss(logits: Array) -> Array:
            return optax.softmax_cross_entropy_with_integer_labels(logits, net.labels[chosen]).mean()

        gradients, _, _ = net.gradient(params, net.images[chosen], loss)
        updates, state = optimiser.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = lax.scan(step, (net.params, optimiser.init(net.params)), order)
    logits = net.logits(params, net.images[-held_out:])
    correct = logits.argmax(-1) == net.labels[-held_out:]
    # The largest of NaNs is a class like any other.
    return jnp.where(jnp.isfinite(logits).all(), 100 * correct.mean(dtype=jnp.float32), jnp.nan)
