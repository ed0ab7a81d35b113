"""Jacobian covariance: how differently a network's output depends on different images [1], in the form of [2].

[1] Mellor, Turner, Storkey, Crowley, "Neural architecture search without training", first version, 2020.
[2] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier

_EPSILON = 1e-5


def score(net: Classifier) -> Float[Array, ""]:
    """Minus the sum of log(v) + 1 / v over the eigenvalues v of the Jacobians' correlation; higher is better."""
    _, jacobian, _ = net.gradient(net.params, net.images, jnp.sum)
    correlation = jnp.corrcoef(jacobian.reshape(len(jacobian), -1))
    values = jnp.linalg.eigvalsh(correlation) + _EPSILON
    # What LAPACK makes of NaN is anybody's guess.
    return jnp.where(jnp.isfinite(correlation).all(), -(jnp.log(values) + 1 / values).sum(), jnp.nan)
