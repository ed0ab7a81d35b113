"""The variables of a network that is trained: as its Flax module names them, and as tables with a row for each row.

Tables have the same shape for all networks of a space, so that one compiled step trains any of them. First values are
drawn on the host, each from a stream of its own, so that they need no compilation and are the same in either form.
"""

import functools
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float, Int

from rwejax.networks.genome_rows import row_function
from rwejax.networks.kernels import row_variables
from rwejax.networks.modules import Norm
from rwejax.networks.program import Network, Program
from rwejax.networks.row_tables import table_size
from rwejax.networks.trainable import PlainNetwork, read_rows

_COLLECTIONS = "params", "batch_stats"
Variables = Mapping[str, Any]
Tables = dict[str, Any]  # of numpy, as `rwejax.networks.Tables` are of JAX


def empty_tables(network: Network) -> tuple[Tables, Tables]:
    """Tables of zeros for the parameters and the running statistics of any network of a space.

    Args:
        network: the groups and buffers of the space.
    """
    parameters, statistics = (
        {
            group.name: np.zeros((group.rows, table_size(network, group, collection, Norm.TRAIN)), np.float32)
            for group in network.groups
        }
        for collection in _COLLECTIONS
    )
    return parameters, statistics


def first_tables(network: Network, program: Program, seed: int) -> tuple[Tables, Tables]:
    """The rows' parameters and running statistics before the first step, those of `first_variables`.

    Args:
        network: the groups and buffers of the space.
        program: of one genome, in chunks of one row.
        seed: draws the kernels.
    """
    tables = empty_tables(network)
    for part in _parts(network, program, tables):
        part.value[part.inputs] = _first(seed, part.path, part.value[part.inputs].shape)
    return tables


def first_head(network: Network, program: Program, classes: int, seed: int) -> dict[str, Float[np.ndarray, "..."]]:
    """The linear layer before the first step, as `first_variables` has it; zeros for features that the network lacks.

    Args:
        network: the groups and buffers of the space.
        program: of one genome, in chunks of one row.
        classes: its outputs.
        seed: draws its kernel.
    """
    there = own_features(network, program)
    kernel = np.zeros((*network.buffers["features"], classes), np.float32)
    kernel[there] = _first(seed, ("head", "kernel"), (len(there), classes))
    return {"kernel": kernel, "bias": _first(seed, ("head", "bias"), (classes,))}


def own_features(network: Network, program: Program) -> Int[np.ndarray, " d"]:
    """Which of a space's features the network of a genome has: those of blocks that are not there are zero.

    Args:
        network: the groups and buffers of the space.
        program: of one genome, in chunks of one row.
    """
    (row,) = (row for row in read_rows(network, program) if network.groups[row.group].target == "features")
    group, (features,) = network.groups[row.group], network.buffers["features"]
    module, fan_in = group.kinds[row.kind][1].module, len(row.sources)
    if _width(module, network.buffers[group.source], fan_in) == features:
        return np.arange(features)
    return np.arange(features).reshape(group.arity, -1)[program.rows[group.name].blocks[0, :fan_in]].ravel()


@functools.cache
def _width(module: nn.Module, shape: tuple[int, ...], fan_in: int) -> int:
    function = row_function(module, shape, fan_in)
    return int(jax.eval_shape(function.apply, function.variables, function.sources).shape[-1])


def variable_shapes(network: PlainNetwork, shape: tuple[int, int, int]) -> Variables:
    """The shapes of the variables of a network that is trained.

    Args:
        network: the module.
        shape: height, width and channels of an image.
    """
    with jax.enable_x64(False):
        images = jax.ShapeDtypeStruct((2, *shape), np.float32)
        found = jax.eval_shape(functools.partial(network.init, train=True), jax.random.key(0), images)
    # What observers of random networks see is dropped here.
    return {collection: found[collection] for collection in _COLLECTIONS}


def first_variables(seed: int, network: PlainNetwork, shape: tuple[int, int, int]) -> Variables:
    """Random kernels, He-normal but for linear layers, whose outputs have half the variance, and all else that begins.

    Args:
        seed: draws the kernels.
        network: the module.
        shape: height, width and channels of an image.
    """
    return {
        collection: unflatten_dict({path: _first(seed, path, leaf.shape) for path, leaf in flatten_dict(tree).items()})
        for collection, tree in variable_shapes(network, shape).items()
    }


def _first(seed: int, path: tuple[str, ...], shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """The value before the first step of one variable, by what Flax calls it."""
    name = path[-1]
    if name in ("scale", "var"):
        return np.ones(shape, np.float32)
    if name in ("bias", "mean"):
        return np.zeros(shape, np.float32)
    linear, by_input = len(shape) == 2, name.startswith("blocks")
    # Axes: blocks of inputs where there are any, then what a unit reads, then units.
    fan_in = math.prod(shape[by_input:-1])
    drawn = np.random.default_rng([seed, zlib.crc32("/".join(path).encode())]).standard_normal(shape, np.float32)
    return drawn * np.float32(math.sqrt((1 if linear else 2) / fan_in))


def from_tables(network: Network, program: Program, tables: tuple[Tables, Tables], shapes: Variables) -> Variables:
    """Variables of the rows, as the Flax module names them.

    Args:
        network: the groups and buffers of the space.
        program: of one genome, in chunks of one row.
        tables: the parameters and the running statistics.
        shapes: of its `PlainNetwork`, see `variable_shapes`; what belongs to no row is left out.
    """
    known = {collection: flatten_dict(shapes[collection]) for collection in _COLLECTIONS}
    found: dict[str, dict[tuple[str, ...], Any]] = {collection: {} for collection in _COLLECTIONS}
    for part in _parts(network, program, jax.tree.map(np.array, tables)):
        if part.path in known[part.collection]:  # a mix of one source has no kernel
            found[part.collection][part.path] = part.value[part.inputs]
    return {collection: unflatten_dict(flat) for collection, flat in found.items()}


class _Part(NamedTuple):
    """One variable of one row.

    Attributes:
        collection: "params" or "batch_stats".
        path: of names, in that collection of the Flax module's variables.
        value: a view into the tables.
        inputs: where in it are those that the network has: of a kernel with a block for each possible input, those of
            the row's own inputs, and else all.
    """

    collection: str
    path: tuple[str, ...]
    value: np.ndarray
    inputs: Any


def _parts(network: Network, program: Program, tables: tuple[Tables, Tables]) -> Iterator[_Part]:
    counts = dict.fromkeys([group.name for group in network.groups], 0)
    for row in read_rows(network, program):
        group = network.groups[row.group]
        place, counts[group.name] = counts[group.name], counts[group.name] + 1
        inputs = program.rows[group.name].blocks[place, : len(row.sources)]
        shapes = row_variables(network, group, group.kinds[row.kind][1], Norm.TRAIN)
        for collection, table in zip(_COLLECTIONS, tables, strict=True):
            end = 0
            for path, leaf in jax.tree.leaves_with_path(shapes.get(collection, {})):
                names = tuple(key.key for key in path)
                end += leaf.size
                value = np.asarray(table[group.name])[place, end - leaf.size : end].reshape(leaf.shape)
                yield _Part(collection, (row.name, *names), value, inputs if names[-1].startswith("blocks") else ...)
