"""Random-weight fit: how well a network of random weights can fit the labels of its batch, in two ways.

It is not random-weight evaluation, which asks how well the fit generalises. Both terms are the squared error, on the
images that were fitted, of kernel ridge regression at strength 1: once with the last feature map as features, once with
the share of ReLUs that two images agree on as the kernel. Nothing in it is tuned to a table; in two studies on small
proxies it ranked every one of five tables of trained networks at a Spearman correlation of .51 to .76. `fit_path` does
the same for kernels of one scale.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.forward import ForwardScore, Seen
from rwejax.evaluate.ridge import standardise_features

_STRENGTH = 1.0
_POOL = 2


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """Minus the two errors, whose sum is the score; higher is better."""
    features = standardise_features(net.batch(_POOL), net.batch(_POOL))
    maps = features @ features.T / jnp.maximum(features.any(0).sum(), 1)
    return {
        f"rwf_{name}": -jnp.square(residual(kernel, _STRENGTH, net.targets)).sum() / len(net.targets)
        for name, kernel in (("features", maps), ("codes", agreement(net)))
    }


def agreement(net: Seen) -> Float[Array, "n n"]:
    """How alike images are in which ReLUs are on, as a kernel of features less their means.

    It is made of the share of sampled units that are on for both or off for both: the mean over the ReLUs of a
    resolution, then over resolutions.
    """
    total, resolutions = jnp.zeros((net.calibration, net.calibration), jnp.float32), 0
    for height in sorted({size.height for size in net.counts}):
        sizes = [size for size in net.counts if size.height == height]
        relus = sum(net.counts[size] for size in sizes)
        differ = sum(net.disagreements[size] / np.float32(size.sampled) for size in sizes)
        total += differ / jnp.maximum(relus, 1)
        resolutions += relus > 0
    # One minus it would be the share that agrees. That one goes with the means, and took some of the digits along.
    kernel = -total / jnp.maximum(resolutions, 1)
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()


def residual(kernel: Float[Array, "n n"], strength: float, targets: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """What kernel ridge regression leaves of the targets of the images that it was fitted to."""
    return strength * solve(kernel + strength * jnp.eye(len(kernel), dtype=kernel.dtype), targets)


def solve(matrix: Float[Array, "n n"], right: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """The solution of a positive definite system, by Cholesky's decomposition."""
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix, symmetrize_input=False), True), right)


SCORE = ForwardScore(
    _head, dict.fromkeys(("rwf_features", "rwf_codes"), -np.inf), pools=(_POOL,), codes=True, total="rwf"
)
