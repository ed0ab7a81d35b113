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
    values = jnp.linalg.eigvalsh(jnp.corrcoef(jacobian.reshape(len(jacobian), -1))) + _EPSILON
    return -(jnp.log(values) + 1 / values).sum()
