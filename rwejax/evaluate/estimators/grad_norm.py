"""The Euclidean norms of the gradients of the layers' weights, added up [1].

[1] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier


def score(net: Classifier) -> Float[Array, ""]:
    """The sum of the layers' norms; higher is better."""
    gradients, _, _ = net.gradient(net.params, net.images, net.cross_entropy)
    head = gradients.pop("head")
    layers = [jnp.sqrt(jnp.square(table).sum(-1)).sum() for table in gradients.values()]
    return sum(layers, start=jnp.sqrt(jnp.square(head).sum()))
