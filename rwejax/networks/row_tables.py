"""The variables of rows as tables: a row of the program, and the variables of its operation one after another."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from rwejax.networks.kernels import row_variables
from rwejax.networks.modules import Norm
from rwejax.networks.program import Group, Network

Tree = Any


class TableRow(NamedTuple):
    """A row of a table.

    Each of its variables is read straight from the table. XLA's CPU backend makes no vectors of a loop over a map that
    scales its channels by a part of a row: it takes 0.29 ms of 64 maps of 14 x 14 x 16, in place of 0.07.

    Attributes:
        table: the table.
        number: of the row.
    """

    table: Float[Array, "rows size"]
    number: Int[Array, ""]

    def read(self, begin: int, size: int) -> Float[Array, " size"]:
        """Some numbers of the row.

        Args:
            begin: the first of them.
            size: how many.
        """
        return lax.dynamic_slice(self.table, (self.number, self.number.dtype.type(begin)), (1, size))[0]

    def whole(self) -> Float[Array, " size"]:
        """All numbers of the row."""
        return self.read(0, self.table.shape[1])

    def zeros(self) -> Float[Array, " size"]:
        """As many zeros."""
        return jnp.zeros(self.table.shape[1:], self.table.dtype)


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


def unravel(shapes: Tree, row: TableRow) -> Tree:
    """The variables that a row of a table holds.

    Args:
        shapes: of the variables.
        row: at least as long as they are.
    """
    leaves, tree = jax.tree.flatten(shapes)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [row.read(end - leaf.size, leaf.size).reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(tree, parts)


def table_row(in_params: Tree, row: TableRow) -> Float[Array, " size"]:
    """Gradients in the parameters of a row, as its row of the table has them.

    Args:
        in_params: the gradients.
        row: of the parameters.
    """
    flat, _ = ravel_pytree(in_params)
    return shaped(flat, row.table.shape[1:]).astype(row.table.dtype)


def shaped(x: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """An array of this shape, or the numbers of another in it, with zeros behind them.

    Args:
        x: the array.
        shape: of the result.
    """
    if x.shape == shape:
        return x
    return jnp.pad(x.ravel(), (0, math.prod(shape) - x.size)).reshape(shape)
