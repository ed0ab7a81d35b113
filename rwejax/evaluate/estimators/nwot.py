"""NWOT: the log-determinant of how alike images look to the ReLUs [1].

Two images are as alike as the number of ReLUs that are on for both or off for both. Networks whose images differ more
have a larger determinant. Of each ReLU at most 256 units are looked at, which stand for all of its units.

[1] Mellor, Turner, Storkey, Crowley, "Neural architecture search without training", ICML 2021.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.evaluate.heads import ForwardScore, Seen


def _head(net: Seen) -> Mapping[str, Float[Array, ""]]:
    """The log-determinant; higher is better."""
    alike = jnp.zeros((net.calibration, net.calibration), jnp.float32)
    for size, differ in net.disagreements.items():
        agree = (net.counts[size] * size.sampled - differ).astype(jnp.float32)
        alike += agree * np.float32(size.units / size.sampled)
    # Positive definite, or there is no score: twice the logarithms of the diagonal of Cholesky's factor.
    return {"nwot": 2 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(alike, symmetrize_input=False))).sum()}


SCORE = ForwardScore(_head, {"nwot": -np.inf}, codes=True)
