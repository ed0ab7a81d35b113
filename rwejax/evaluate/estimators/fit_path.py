"""Random-weight fit along the regularisation path: `rwf` without a scale that differs from network to network.

`rwf` regularises the kernels of all networks alike, but how large a kernel is differs between them, so that it compares
a network that is held back with one that is not. Here each kernel, centred, is scaled to a mean of 1 on its diagonal,
so that the strength of the ridge is the share of noise that it assumes, and the error of the fit is the mean over
strengths from a hundredth to one, evenly in their logarithm. Gradient descent on a linear head passes along the same
path, from strong to weak [1]: the mean is how much of the labels is left on the way. The features are the global
average pool, which is what a trained network's head sees.

`docs/studies/scores.md` says how it was chosen and confirmed.

[1] Ali, Kolter, Tibshirani, "A continuous-time view of early stopping for least squares regression", AISTATS 2019.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.rwf import agreement, residual, residual_of_features
from rwejax.evaluate.heads import ForwardScore, Seen
from rwejax.evaluate.ridge import standardise_features

_STRENGTHS = np.geomspace(0.01, 1, 5, dtype=np.float32)


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """Minus the errors with the features' kernel and with the codes', whose sum is the score; higher is better."""
    features = standardise_features(net.batch(), net.batch())
    codes = agreement(net)
    scale = _mean_eigenvalue(jnp.square(features).sum(), net.calibration)
    left = {
        "fit_path_features": [residual_of_features(features, s * scale, net.targets) for s in _STRENGTHS],
        "fit_path_codes": [
            residual(codes / _mean_eigenvalue(jnp.trace(codes), net.calibration), s, net.targets) for s in _STRENGTHS
        ],
    }
    return {name: -jnp.square(jnp.stack(each)).sum((1, 2)).mean() / net.calibration for name, each in left.items()}


def _mean_eigenvalue(trace: Float[Array, ""], images: int) -> Float[Array, ""]:
    """That of a kernel of so many images; 1 where all are alike, so that one can divide by it."""
    return jnp.where(trace > 0, trace / images, 1)


SCORE = ForwardScore(
    _head, dict.fromkeys(("fit_path_features", "fit_path_codes"), -np.inf), codes=True, total="fit_path"
)
