"""Random-weight evaluation with the papers' head: minus the validation error of a softmax layer, higher is better.

[1] Hu, Cheng, He, Lu, Wang, Zhang, "Accelerating multi-objective neural architecture search by random-weight
    evaluation", Complex & Intelligent Systems 2021, https://arxiv.org/abs/2110.05242
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float

from rwejax.evaluate.heads import ForwardScore, Seen
from rwejax.evaluate.ridge import standardise_features

_EPOCHS = 30
_BATCH = 50
_LEARNING_RATE = 0.1


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """Minus the validation error in % of a softmax layer that SGD fits to the train images, the papers' way [1]."""
    features, train = net.features[1], net.train
    x, labels = standardise_features(features, features[:train]), net.labels[:train]
    batch = min(_BATCH, train)
    steps = _EPOCHS * (train // batch)
    optimiser = optax.sgd(optax.cosine_decay_schedule(_LEARNING_RATE, steps), momentum=0.9)
    params = {"kernel": jnp.zeros((x.shape[1], net.classes), x.dtype), "bias": jnp.zeros(net.classes, x.dtype)}

    def loss(params: dict[str, Array], chosen: Array) -> Array:
        logits = x[chosen] @ params["kernel"] + params["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

    def step(carry: tuple, chosen: Array) -> tuple[tuple, None]:
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params, chosen), state)
        return (optax.apply_updates(params, updates), state), None

    orders = jax.vmap(lambda key: jax.random.permutation(key, train)[: train // batch * batch])(
        jax.random.split(net.key, _EPOCHS)
    )
    (params, _), _ = lax.scan(step, (params, optimiser.init(params)), orders.reshape(steps, batch))
    predicted = (x[train:] @ params["kernel"] + params["bias"]).argmax(-1)
    return {"rwe_softmax": -100 * (predicted != net.labels[train:]).mean(dtype=jnp.float32)}


SCORE = ForwardScore(_head, {"rwe_softmax": -np.inf}, all_images=True)
