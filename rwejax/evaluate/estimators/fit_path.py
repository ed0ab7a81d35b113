"""Random-weight fit along the regularisation path: `rwf` without a scale that differs from network to network.

`rwf` regularises the kernels of all networks alike, but how large a kernel is differs between them, so that it compares
a network that is held back with one that is not. Here each kernel, centred, is scaled to a mean of 1 on its diagonal,
so that the strength of the ridge is the share of noise that it assumes, and the error of the fit is the mean over
strengths from a hundredth to one, evenly in their logarithm. Gradient descent on a linear head passes along the same
path, from strong to weak [1]: the mean is how much of the labels is left on the way. The features are the global
average pool, which is what a trained network's head sees.

`docs/estimator.md` says how it was chosen and confirmed.

[1] Ali, Kolter, Tibshirani, "A continuous-time view of early stopping for least squares regression", AISTATS 2019.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier
from rwejax.evaluate.estimators.rwf import centred, centred_targets, maps_and_codes

_STRENGTHS = np.geomspace(0.01, 1, 5, dtype=np.float32)


def score(net: Classifier) -> Float[Array, ""]:
    """Minus the sum of the errors with the features' kernel and with the codes'; higher is better."""
    features, codes = maps_and_codes(net)
    targets = centred_targets(net)
    return -(_error(features, targets) + _error(codes, targets))


def _error(kernel: Float[Array, "n n"], targets: Float[Array, "n classes"]) -> Float[Array, ""]:
    """Mean over strengths and images of the squared error, on these images, of ridge regression with the kernel."""
    values, vectors = jnp.linalg.eigh(centred(kernel))
    values = jnp.maximum(values, 0) / jnp.maximum(values.mean(), jnp.finfo(values.dtype).tiny)
    energy = jnp.square(vectors.T @ targets).sum(1) / len(targets)
    left = _STRENGTHS[:, None] / (values + _STRENGTHS[:, None])
    # What LAPACK makes of NaN is anybody's guess.
    return jnp.where(jnp.isfinite(kernel).all(), (jnp.square(left) @ energy).mean(), jnp.nan)
