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

from rwejax.evaluate.heads import ForwardScore, Seen
from rwejax.evaluate.ridge import standardise_features

Strength = Float[Array, ""] | float

_STRENGTH = 1.0
_POOL = 2


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """Minus the two errors, whose sum is the score; higher is better."""
    features = standardise_features(net.batch(_POOL), net.batch(_POOL))
    strength = _STRENGTH * jnp.maximum(features.any(0).sum(), 1).astype(features.dtype)
    left = {
        "rwf_features": residual_of_features(features, strength, net.targets),
        "rwf_codes": residual(agreement(net), _STRENGTH, net.targets),
    }
    return {name: -jnp.square(each).sum() / len(net.targets) for name, each in left.items()}


def agreement(net: Seen) -> Float[Array, "n n"]:
    """How alike images are in which ReLUs are on, as a kernel of features less their means.

    It is made of the share of sampled units that are on for both or off for both: the mean over the ReLUs of a
    resolution, then over resolutions.

    Args:
        net: what was seen of the network.
    """
    total = jnp.zeros((net.calibration, net.calibration), jnp.float32)
    resolutions = jnp.int32(0)
    for height in sorted({size.height for size in net.counts}):
        sizes = [size for size in net.counts if size.height == height]
        relus = sum(net.counts[size] for size in sizes)
        differ = sum(net.disagreements[size] / np.float32(size.sampled) for size in sizes)
        total += differ / jnp.maximum(relus, 1)
        resolutions += relus > 0
    # One minus it would be the share that agrees. That one goes with the means, and took some of the digits along.
    kernel = -total / jnp.maximum(resolutions, 1)
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()


def residual(kernel: Float[Array, "n n"], strength: Strength, targets: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """What kernel ridge regression leaves of the targets of the images that it was fitted to.

    Args:
        kernel: of the images.
        strength: of the penalty, in units of the kernel.
        targets: of the images.
    """
    return strength * _solve(kernel, strength, targets)


def residual_of_features(
    features: Float[Array, "n d"], strength: Strength, targets: Float[Array, "n k"]
) -> Float[Array, "n k"]:
    """The same with the kernel of some features, by the smaller of their two matrices of products.

    Args:
        features: of the images.
        strength: of the penalty, in units of the products.
        targets: of the images.
    """
    if len(features) <= features.shape[1]:
        return residual(features @ features.T, strength, targets)
    # Of K = ZZ', the residual s (K + s)^-1 Y is Y - Z (Z'Z + s)^-1 Z'Y.
    return targets - features @ _solve(features.T @ features, strength, features.T @ targets)


def _solve(matrix: Float[Array, "n n"], strength: Strength, right: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """The solution of a penalised system, by Cholesky's decomposition."""
    penalised = matrix + strength * jnp.eye(len(matrix), dtype=matrix.dtype)
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(penalised, symmetrize_input=False), True), right)


SCORE = ForwardScore(
    _head, dict.fromkeys(("rwf_features", "rwf_codes"), -np.inf), pools=(_POOL,), codes=True, total="rwf"
)
