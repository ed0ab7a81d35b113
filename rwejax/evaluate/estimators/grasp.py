"""GraSP: how much the gradient flow depends on each weight [1], summed as in [2].

[1] Wang, Zhang, Grosse, "Picking winning tickets before training by preserving gradient flow", ICLR 2020.
[2] Abdelfattah, Mehrotra, Dudziak, Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rwejax.evaluate.estimators.per_network import Classifier, Params


def score(net: Classifier) -> Float[Array, ""]:
    """Minus the sum over all weights of weight times (Hessian times gradient); higher is better."""

    def gradient(params: Params) -> Params:
        return net.gradient(params, net.images, net.cross_entropy)[0]

    _, curved = jax.jvp(gradient, (net.params,), (gradient(net.params),))
    products = jax.tree.map(lambda w, h: (w * h).sum(), net.params, curved)
    return -sum(jax.tree.leaves(products), start=jnp.zeros((), jnp.float32))
