"""Fisher: how much the loss depends on each channel of each layer [1], summed as in [2].

[1] Theis, Korshunova, Tejani, Huszar, "Faster gaze prediction with dense networks and Fisher pruning", 2018.
[2] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier
from rwejax.networks import ActivationObserver


def score(net: Classifier) -> Float[Array, ""]:
    """The sum over channels of half of the mean over images of (output times gradient)^2; higher is better."""

    def add(total: Array, output: Array, gradient: Array) -> Array:
        saliency = (output * gradient).reshape(len(output), -1, output.shape[-1]).sum(1)
        return total + 0.5 * jnp.square(saliency).mean(0).sum()

    _, _, total = net.gradient(
        net.params, net.images, net.cross_entropy, ActivationObserver(jnp.zeros((), jnp.float32), add)
    )
    return total
