"""NWOT: the log-determinant of how alike images look to the ReLUs [1].

Two images are as alike as the number of ReLUs that are on for both or off for both. Networks whose images differ more
have a larger determinant.

[1] Mellor, Turner, Storkey, Crowley, "Neural architecture search without training", ICML 2021.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier
from rwejax.networks import ActivationObserver


def score(net: Classifier) -> Float[Array, ""]:
    """The log-determinant; higher is better."""
    n = len(net.images)

    def add(alike: Array, x: Array, counts: Array) -> Array:
        on = (x > 0).reshape(n, -1).astype(x.dtype)
        return alike + jnp.where(counts, on @ on.T + (1 - on) @ (1 - on).T, 0)

    features, alike = net.observe(ActivationObserver(jnp.zeros((n, n), jnp.float32), add))
    # A sign shows nothing of a NaN.
    return jnp.where(jnp.isfinite(features).all(), jnp.linalg.slogdet(alike)[1], jnp.nan)
