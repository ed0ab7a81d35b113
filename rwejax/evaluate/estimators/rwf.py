"""Random-weight fit: how well a network of random weights can fit the labels of its batch, in two ways.

It is not random-weight evaluation, which asks how well the fit generalises. Both terms are the squared error, on the
images that were fitted, of kernel ridge regression at strength 1: once with the last feature map as features, once with
the share of ReLUs that two images agree on as the kernel. Nothing in it is tuned to a table; in two studies on small
proxies it ranked every one of five tables of trained networks at a Spearman correlation of .51 to .76. `fit_path` does
the same for kernels of one scale.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier
from rwejax.evaluate.ridge import standardise_features
from rwejax.networks import ActivationObserver

_STRENGTH = 1.0
_UNITS = 256


def score(net: Classifier) -> Float[Array, ""]:
    """Minus the sum of the two errors; higher is better."""
    features, codes = maps_and_codes(net)
    targets = centred_targets(net)
    return -(_fit(features, targets) + _fit(centred(codes), targets))


def maps_and_codes(net: Classifier) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    """How alike images are in a network's features, and in which ReLUs are on.

    Args:
        net: the network, whose own batch of n images is compared.

    Returns:
        The mean product of their features, standardised over images; and the share of units that are on for both or
        off for both: of a sample of each ReLU, the mean over the ReLUs of a resolution, then over resolutions.
    """
    n = len(net.images)

    def add(alike: dict[int, tuple[Array, Array]], x: Array, counts: Array) -> dict[int, tuple[Array, Array]]:
        height = x.shape[1]
        total, relus = alike[height]
        x = x.reshape(n, -1)
        units = np.random.default_rng(x.shape[1]).choice(x.shape[1], min(_UNITS, x.shape[1]), replace=False)
        signs = jnp.where(x[:, np.sort(units)] > 0, 1, -1).astype(x.dtype)
        agreement = (1 + signs @ signs.T / len(units)) / 2
        return {**alike, height: (total + jnp.where(counts, agreement, 0), relus + counts)}

    heights = {shape[0] for shape in net.network.network.buffers.values() if len(shape) == 3}
    start = {height: (jnp.zeros((n, n), jnp.float32), jnp.zeros((), jnp.float32)) for height in heights}
    features, alike = net.observe(ActivationObserver(start, add))

    standardised = standardise_features(features, features)
    maps = standardised @ standardised.T / jnp.maximum(standardised.any(0).sum(), 1)

    seen = jnp.stack([relus > 0 for _, relus in alike.values()])
    means = jnp.stack([total / jnp.maximum(relus, 1) for total, relus in alike.values()])
    return maps, means.sum(0) / jnp.maximum(seen.sum(), 1)


def centred_targets(net: Classifier) -> Float[Array, "n classes"]:
    """One-hot labels less their mean."""
    labels = jax.nn.one_hot(net.labels, net.params["head"].shape[1], dtype=jnp.float32)
    return labels - labels.mean(0)


def centred(kernel: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The kernel of the same features less their means."""
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()


def _fit(kernel: Float[Array, "n n"], targets: Float[Array, "n classes"]) -> Float[Array, ""]:
    """Mean over images of the squared error, on these images, of ridge regression with the kernel."""
    dual = jnp.linalg.solve(kernel + _STRENGTH * jnp.eye(len(kernel), dtype=kernel.dtype), targets)
    return jnp.square(_STRENGTH * dual).sum() / len(targets)
