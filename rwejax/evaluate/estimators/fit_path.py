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

from rwejax.evaluate.estimators.rwf import centred, centred_targets, fit, maps_and_codes
from rwejax.evaluate.estimators.single import Classifier

_STRENGTHS = tuple(np.geomspace(0.01, 1, 5).tolist())


def score(net: Classifier) -> Float[Array, ""]:
    """Minus the mean error along the path, of the features' kernel and of the codes'; higher is better."""
    targets = centred_targets(net)
    kernels = [_scaled(kernel) for kernel in maps_and_codes(net)]
    errors = jnp.stack([fit(kernel, targets, strength) for kernel in kernels for strength in _STRENGTHS])
    return -errors.sum() / len(_STRENGTHS)


def _scaled(kernel: Float[Array, "n n"]) -> Float[Array, "n n"]:
    kernel = centred(kernel)
    diagonal = jnp.trace(kernel) / len(kernel)
    return kernel / jnp.where(diagonal > 0, diagonal, 1)
