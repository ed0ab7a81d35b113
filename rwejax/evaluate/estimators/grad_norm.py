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
    squares = {group: jnp.square(table) for group, table in gradients.items()}
    layers = net.network.layer_sums(net.program, squares)
    return jnp.sqrt(layers).sum() + jnp.sqrt(jnp.square(head).sum())
