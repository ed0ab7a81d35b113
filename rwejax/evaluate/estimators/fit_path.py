"""Random-weight fit along the regularisation path: `rwf` without a scale that differs from network to network.

`rwf` regularises the kernels of all networks alike, but how large a kernel is differs between them, so that it compares
a network that is held back with one that is not. Here each kernel, centred, is scaled to a mean of 1 on its diagonal,
so that the strength of the ridge is the share of noise that it assumes, and errors are means over strengths from a
hundredth to one, evenly in their logarithm. Gradient descent on a linear head passes along the same path, from strong
to weak [1]. The features are the global average pool, which is what a trained network's head sees.

Of two scores one asks for the fit alone, in features and in codes. The other asks how well features fit, and how well
codes generalise: their error is that of leaving each image out. It is the product of both errors, so that neither has a
weight.

`docs/estimator.md` says how they were chosen and confirmed.

[1] Ali, Kolter, Tibshirani, "A continuous-time view of early stopping for least squares regression", AISTATS 2019.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.rwf import centred, centred_targets, maps_and_codes
from rwejax.evaluate.estimators.single import Classifier

_STRENGTHS = np.geomspace(0.01, 1, 5)


def fit_path(net: Classifier) -> Float[Array, ""]:
    """Minus the sum of both kernels' errors on the images that were fitted; higher is better."""
    features, codes = _errors(net)
    return -(features.fit + codes.fit)


def fit_loo(net: Classifier) -> Float[Array, ""]:
    """Minus the logarithm of the features' error on these images times the codes' on those left out."""
    features, codes = _errors(net)
    return -jnp.log(features.fit) - jnp.log(codes.left_out)


class _Errors(NamedTuple):
    """Squared error of kernel ridge regression along the path, summed over classes, mean over images and strengths."""

    fit: Float[Array, ""]
    left_out: Float[Array, ""]


def _errors(net: Classifier) -> list[_Errors]:
    """Of the features' kernel and of the codes'."""
    targets = centred_targets(net)
    n = len(targets)

    def errors(kernel: Float[Array, "n n"]) -> _Errors:
        values, vectors = jnp.linalg.eigh(centred(kernel))
        values = jnp.maximum(values, 0) / jnp.maximum(values.mean(), jnp.finfo(values.dtype).tiny)
        explained = values / (values + _STRENGTHS[:, None])
        residuals = targets - jnp.einsum("nr,sr,rk->snk", vectors, explained, vectors.T @ targets)
        leverage = 1 / n + explained @ jnp.square(vectors).T
        fit, left_out = (jnp.square(x).sum(-1).mean() for x in (residuals, residuals / (1 - leverage)[..., None]))
        return _Errors(fit, left_out)

    return [errors(kernel) for kernel in maps_and_codes(net)]
