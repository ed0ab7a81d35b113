"""Zen-score: how much a network's last map changes with a small change of its input, whatever its norms hide [1].

Images and their change are Gaussian noise, so no image of the dataset is looked at. Batch normalisation keeps a network
of any depth from growing its maps, and with them its expressivity as it is measured here; so the logarithms of what
the normalisations divide by are added again.

Where ours differs from [1], whose networks are plain chains of convolutions:

- residual connections and other branches stay, and all normalisations of all branches are added;
- the change is that of the last map pooled to 2 x 2 pixels a channel, after the ReLU or what else a space ends with;
- both passes normalise by the statistics of their own batch, of as many noise images as the estimator takes;
- a layer's term is the logarithm of the root of its mean variance over channels, as in [1]; variances are over the
  batch and all pixels of what enters a normalisation, be it a convolution's output or a sum.

[1] Lin, Wang, Sun, Chen, Sun, Qian, Li, Jin, "Zen-NAS: a zero-shot NAS for high-performance image recognition", ICCV
    2021, algorithm 1.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier
from rwejax.networks import NOTHING, ActivationObserver

_STEP = 0.01  # of the change, as in [1]


def score(net: Classifier) -> Float[Array, ""]:
    """The logarithm of the mean norm of the change, plus those of the layers' deviations; higher is better."""
    key_images, key_change = jax.random.split(net.key)
    images, change = (jax.random.normal(key, net.images.shape, jnp.float32) for key in (key_images, key_change))

    def add(total: Array, x: Array, counts: Array) -> Array:
        variance = jnp.maximum(x.var((0, 1, 2)).mean(), jnp.finfo(x.dtype).tiny)
        return total + jnp.where(counts, jnp.log(variance) / 2, 0)

    features, deviations = net.observe(ActivationObserver(jnp.zeros((), jnp.float32), add), images, "norms")
    changed, _ = net.observe(NOTHING, images + _STEP * change)
    return jnp.log(jnp.linalg.norm(changed - features, axis=1).mean()) + deviations
