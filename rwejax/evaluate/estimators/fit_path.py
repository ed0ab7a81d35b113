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

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.rwf import agreement, residual, solve
from rwejax.evaluate.forward import ForwardScore, Seen
from rwejax.evaluate.ridge import standardise_features

_STRENGTHS = np.geomspace(0.01, 1, 5, dtype=np.float32)


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """Minus the errors with the features' kernel and with the codes', whose sum is the score; higher is better."""
    features = standardise_features(net.batch(), net.batch())
    return {
        "fit_path_features": -_error_of_features(features, net.targets),
        "fit_path_codes": -_error(agreement(net), net.targets),
    }


def _error_of_features(features: Float[Array, "n d"], targets: Float[Array, "n classes"]) -> Float[Array, ""]:
    """The same as `_error` of the features' kernel, by their covariance where that is the smaller matrix."""
    n, d = features.shape
    if n <= d:
        return _error(features @ features.T, targets)
    covariance, projected = features.T @ features, features.T @ targets
    scale = _mean_eigenvalue(covariance, n)
    # Of K = ZZ', the residual s (K + s)^-1 Y is Y - Z (Z'Z + s)^-1 Z'Y.
    shrunk = [covariance + strength * scale * jnp.eye(d, dtype=features.dtype) for strength in _STRENGTHS]
    left = [targets - features @ solve(matrix, projected) for matrix in shrunk]
    return jnp.stack([jnp.square(each).sum() for each in left]).mean() / n


def _error(kernel: Float[Array, "n n"], targets: Float[Array, "n classes"]) -> Float[Array, ""]:
    """Mean over strengths and images of the squared error, on these images, of ridge regression with the kernel."""
    scale = _mean_eigenvalue(kernel, len(kernel))
    left = [residual(kernel / scale, strength, targets) for strength in _STRENGTHS]
    return jnp.stack([jnp.square(each).sum() for each in left]).mean() / len(targets)


def _mean_eigenvalue(matrix: Float[Array, "d d"], count: int) -> Float[Array, ""]:
    """That of a kernel of so many images; 1 where all are alike, so that one can divide by it."""
    trace = jnp.trace(matrix)
    return jnp.where(trace > 0, trace / count, 1)


SCORE = ForwardScore(
    _head, dict.fromkeys(("fit_path_features", "fit_path_codes"), -np.inf), codes=True, total="fit_path"
)
