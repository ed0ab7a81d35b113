"""SNIP: how much the loss depends on each weight [1], summed as in [2].

[1] Lee, Ajanthan, Torr, "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019.
[2] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier


def score(net: Classifier) -> Float[Array, ""]:
    """The sum over all weights of |weight times gradient|; higher is better."""
    gradients, _, _ = net.gradient(net.params, net.images, net.cross_entropy)
    products = jax.tree.map(lambda w, g: jnp.abs(w * g).sum(), net.params, gradients)
    return sum(jax.tree.leaves(products), start=jnp.zeros((), jnp.float32))
