"""Compiled functions that keep their types, and that take arrays which live on a mesh.

The axes of a mesh that `jax.make_mesh` makes are Explicit: how an array is split is part of its type, and sorting along
a split axis is refused. Selection looks at all rows at once, and rows are few, so that every device gets all of them.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
from jax.sharding import NamedSharding, PartitionSpec

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(*static: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """As `jax.jit`, for a function whose arrays may live on a mesh of Explicit axes.

    Args:
        static: names of the arguments that are compiled in.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        return jax.jit(replicating(function), static_argnames=static)

    return decorate


def replicating(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Where any array lives on a mesh of Explicit axes, first copies all arrays to each of the mesh's devices.

    What the function makes then lives there too. Without such arrays it is called as it is.

    Args:
        function: of pytrees.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        leaves = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, jax.Array)]
        meshes = [mesh for leaf in leaves if (mesh := jax.typeof(leaf).sharding.mesh).explicit_axes]
        if not meshes:
            return function(*args, **kwargs)
        everywhere = NamedSharding(meshes[0], PartitionSpec())
        args, kwargs = jax.tree.map(
            lambda leaf: jax.sharding.reshard(leaf, everywhere) if isinstance(leaf, jax.Array) else leaf, (args, kwargs)
        )
        # New arrays must be of the same mesh, or they could not be put together with the given ones.
        with jax.sharding.use_abstract_mesh(meshes[0]):
            return function(*args, **kwargs)

    return call
