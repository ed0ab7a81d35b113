"""What a network's kinds own: the shapes of their variables, and random kernels for all slots."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rwejax.networks.modules import Norm, Shown, Sources, shown
from rwejax.networks.program import Group, Kind, Network

Tree = Any
Kernels = dict[str, dict[str, Tree]]
"""By group and kind, with an axis of slots in front of each kernel."""


def initialise(network: Network, key: jax.Array) -> Kernels:
    """Random kernels for every slot: He-normal, from one long draw, since each draw costs compilation.

    Args:
        network: the groups and buffers of the space.
        key: a random key; the kernels are a function of it and of the network.
    """
    shapes = {
        group.name: {name: parameters(network, group, kind) for name, kind in group.kinds} for group in network.groups
    }
    leaves, tree = jax.tree.flatten_with_path(shapes)
    noise = jax.random.normal(key, (sum(leaf.size for _, leaf in leaves),), jnp.float32)
    ends = np.cumsum([leaf.size for _, leaf in leaves])
    kernels = []
    for (path, leaf), end in zip(leaves, ends, strict=True):
        # Axes: slots, then blocks of possible inputs where there are any, then what a unit reads, then units.
        fan_in = np.prod(leaf.shape[2 if path[-1].key.startswith("blocks") else 1 : -1])
        kernels.append(noise[end - leaf.size : end].reshape(leaf.shape) * np.float32(np.sqrt(2 / fan_in)))
    return jax.tree.unflatten(tree, kernels)


def parameters(network: Network, group: Group, kind: Kind) -> Tree:
    """Shapes of a kind's kernels, with the axis of slots in front.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group, whose source says what a row reads.
        kind: the operation.
    """
    shapes = row_variables(network, group, kind).get("params", {})
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((kind.slots, *leaf.shape), leaf.dtype), shapes)


def shares_kernel(network: Network, group: Group, kind: Kind) -> bool:
    """Whether rows of a kind that run together had better have one kernel, and so one slot.

    A product or a depthwise convolution does not mind a kernel for each row; a convolution over pixels and channels
    becomes one with as many groups of channels as rows, which is slow.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
    """
    return any(inputs > 1 for inputs in _inputs_of_filters(network, group, kind))


def is_depthwise(network: Network, group: Group, kind: Kind) -> bool:
    """Whether a kind has filters over pixels of single channels.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
    """
    return 1 in _inputs_of_filters(network, group, kind)


def _inputs_of_filters(network: Network, group: Group, kind: Kind) -> list[int]:
    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(parameters(network, group, kind))]
    return [shape[2] for shape in shapes if len(shape) == 4 and shape[0] * shape[1] > 1]


def no_statistics(network: Network, group: Group, kind: Kind) -> Tree:
    """A kind's normalisation statistics, all zero.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
    """
    shapes = row_variables(network, group, kind).get("batch_stats", {})
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def statistics_width(network: Network, group: Group) -> int:
    """The most statistics that a row of a group has.

    Args:
        network: the groups and buffers of the space.
        group: one of them.
    """
    trees = [no_statistics(network, group, kind) for _, kind in group.kinds]
    return max(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in trees)


def relu_inputs(network: Network, group: Group, kind: Kind) -> list[Shown]:
    """What a kind shows of its ReLUs, for one image; `x` are shapes.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
    """
    return shown(row_variables(network, group, kind).get("relus", {}))


def row_variables(network: Network, group: Group, kind: Kind, norm: Norm = Norm.BATCH) -> Tree:
    """Shapes of the variables of one row, by collection.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
        norm: `Norm.TRAIN` for those of a network that is trained.
    """
    return _module_variables(kind.module, network.buffers[group.source], group.arity, norm)


@functools.cache  # by what it depends on: cells repeat, and a pass, a training and a search each have a network
def _module_variables(module: nn.Module, shape: tuple[int, ...], arity: int, norm: Norm) -> Tree:
    def init() -> Tree:
        image = jnp.zeros((1, *shape), jnp.float32)
        # The fan-in is an array, for with a plain 1 a `Mix` would make no kernel.
        sources = Sources(lambda k: image, jnp.zeros(arity, jnp.int32), jnp.int32(1))
        return module.init(jax.random.key(0), sources, norm)

    with jax.enable_x64(False):  # Flax's initialisers would make kernels of 64 bits, which fit no map of 32
        return jax.eval_shape(init)
