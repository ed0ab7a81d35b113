"""Search spaces in PyTorch: what `rwejax` is measured against, and checked against.

Kernels come from `rwejax.networks.initialise`, so that both sides compute the same features; the forward pass and the
normalisation statistics are PyTorch's own. A network has the parts that its genome uses, and no others.
"""

import functools

import jax
import numpy as np
import torch

from rwejax import networks
from rwejax.networks.kernels import Kernels
from rwejax.spaces import Space

from .cells import CellNetwork
from .macro import MacroNetwork
from .nasbench201 import NASBench201Network
from .nasbench_macro import NASBenchMacroNetwork
from .network import Network

__all__ = ["Network", "build"]

_NETWORKS = {
    "macro": MacroNetwork,
    "micro": CellNetwork,
    "darts": CellNetwork,
    "nasbench201": NASBench201Network,
    "nasbench_macro": NASBenchMacroNetwork,
}


def build(space: Space, genome: np.ndarray, kernels: Kernels | None = None) -> Network:
    """The network of a genome, in eval mode and channels_last.

    Args:
        space: any of `rwejax.spaces`.
        genome: decoded in its canonical form, as the evaluator does.
        kernels: those of every slot, as `rwejax.networks.initialise` draws them; None: zeros, until PyTorch draws them.
    """
    if kernels is None:
        kernels = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _shapes(space))
    canonical = np.asarray(space.canonical(np.asarray(genome)[None]))
    network = _NETWORKS[space.name](space, canonical, jax.tree.map(np.asarray, kernels))
    return network.eval().to(memory_format=torch.channels_last)


@functools.cache
def _shapes(space: Space) -> Kernels:
    return jax.eval_shape(functools.partial(networks.initialise, networks.network(space)), jax.random.key(0))
