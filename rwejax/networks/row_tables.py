"""The variables of rows as tables: a row of the program, and the variables of its operation one after another."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rwejax.networks.kernels import row_variables
from rwejax.networks.modules import Norm
from rwejax.networks.program import Group, Network

Tree = Any


def table_size(network: Network, group: Group, collection: str, norm: Norm = Norm.BATCH) -> int:
    """The most variables that a row of a group has, or 1.

    Args:
        network: the groups and buffers of the space.
        group: one of them.
        collection: "params" or "batch_stats".
        norm: `Norm.TRAIN` for those of a network that is trained.
    """
    trees = [row_variables(network, group, kind, norm).get(collection, {}) for _, kind in group.kinds]
    # JAX forgets how an array without elements is split over devices, and compiles anew for what it has forgotten.
    return max([1, *(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in trees)])


def unravel(shapes: Tree, row: Float[Array, " size"]) -> Tree:
    """The variables that a row of a table holds.

    Args:
        shapes: of the variables.
        row: of the table, at least as long as they are.
    """
    leaves, tree = jax.tree.flatten(shapes)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [row[end - leaf.size : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(tree, parts)


def table_row(in_params: Tree, table: Float[Array, " size"]) -> Float[Array, " size"]:
    """Gradients in the parameters of a row, as its row of the table has them.

    Args:
        in_params: the gradients.
        table: the row of the parameters.
    """
    flat, _ = ravel_pytree(in_params)
    return shaped(flat, table.shape).astype(table.dtype)


def shaped(x: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """An array of this shape, or the numbers of another in it, with zeros behind them.

    Args:
        x: the array.
        shape: of the result.
    """
    if x.shape == shape:
        return x
    return jnp.pad(x.ravel(), (0, math.prod(shape) - x.size)).reshape(shape)
