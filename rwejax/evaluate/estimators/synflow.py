"""Synaptic flow: how much a network of absolute weights and without norms passes on, weight by weight [1, 2].

Its numbers grow exponentially with depth, so it is computed in double precision and given as a logarithm.

[1] Tanaka, Kunin, Yamins, Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic flow",
    NeurIPS 2020.
[2] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier


def score(net: Classifier) -> Float[Array, ""]:
    """The logarithm of the sum over all weights of weight times gradient, on an image of ones; higher is better."""
    params = jax.tree.map(lambda w: jnp.abs(w).astype(jnp.float64), net.params)
    gradients, _, _ = net.gradient(params, jnp.ones_like(net.images[:1], jnp.float64), jnp.sum)
    products = jax.tree.map(lambda w, g: (w * g).sum(), params, gradients)
    return jnp.log(sum(jax.tree.leaves(products), start=jnp.zeros((), jnp.float64)))
