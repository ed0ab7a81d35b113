"""One compiled executor runs every program of a space.

Rows of a group go through one loop of dynamic length, `chunk` rows of a slot at a time: one after another on a CPU,
vmapped with the kernel unbatched on an accelerator. Of a group's kinds only the one that a chunk has is computed.
Padding is never computed, and what a chunk computes beyond the end of its slot is never read.
Buffers of feature maps are donated by the caller and returned, so that a call neither asks for memory nor clears it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rwejax.networks.modules import Norm, Sources
from rwejax.networks.program import Group, Kind, Network, Program, Rows

Tree = Any
Kernels = dict[str, dict[str, Tree]]
"""By group and kind, with an axis of slots in front of each kernel."""
Maps = dict[str, Float[Array, "rows images ..."]]
"""Buffers of feature maps by name; what they hold before a pass and after it means nothing."""


@struct.dataclass
class _Carry:
    """What lives on from row to row: the buffers, and each row's normalisation statistics in one vector."""

    buffers: Maps
    statistics: dict[str, Float[Array, "rows width"]]


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


def map_shapes(network: Network, sizes: Mapping[str, int], images: int, dtype: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """The buffers that a pass of so many images needs, where each has so many slots.

    Args:
        network: the groups and buffers of the space.
        sizes: slots of each buffer, see `rwejax.networks.buffer_sizes`.
        images: in a batch, over all devices.
        dtype: of feature maps; features are float32.
    """
    return {
        name: jax.ShapeDtypeStruct((sizes[name], images, *shape), jnp.float32 if name == "features" else dtype)
        for name, shape in network.buffers.items()
        if name != "images"
    }


def make_features(
    network: Network, genomes: int, chunk: int, dtype: Any
) -> Callable[
    [Program, Float[Array, "c ..."], Float[Array, "b i ..."], Kernels, tuple[Maps, Maps]],
    tuple[Float[Array, "rows images d"], tuple[Maps, Maps]],
]:
    """Build the function that computes the features of all rows of a program.

    Args:
        network: the groups.
        genomes: the capacity that the programs were built with.
        chunk: rows computed at once.
        dtype: of feature maps and kernels; statistics and features are float32.

    Returns:
        A function of (program, calibration images, batches of images, kernels, maps), to be called inside a mesh axis
        `IMAGES_AXIS`. It takes normalisation statistics from the calibration images, holds them constant for the
        batches, and returns the features of the calibration images followed by those of the batches. The maps are the
        buffers for the calibration images and for a batch; they are to be donated, and come back.
    """

    def run(program: Program, images: Array, kernels: Kernels, carry: _Carry, norm: Norm) -> _Carry:
        # A buffer of one row, number 0, which every program reads first; it is not the caller's to give or get back.
        buffers = {**carry.buffers, "images": images[None].astype(dtype)}
        statistics = {}
        for group in network.groups:
            buffers[group.target], statistics[group.name] = _run_group(
                network,
                group,
                program.rows[group.name],
                kernels[group.name],
                carry.statistics[group.name],
                buffers[group.source],
                buffers[group.target],
                chunk,
                norm,
            )
        del buffers["images"]
        return _Carry(buffers, statistics)

    def features(
        program: Program, calibration: Array, batches: Array, kernels: Kernels, maps: tuple[Maps, Maps]
    ) -> tuple[Array, tuple[Maps, Maps]]:
        kernels = jax.tree.map(lambda kernel: kernel.astype(dtype), kernels)
        # The last chunk may reach beyond the rows, here and in all tables and buffers. Without room for it there,
        # `dynamic_slice` would move its window back, over rows of other slots, and say nothing.
        statistics = {
            group.name: jnp.zeros((group.rows * genomes + chunk, _statistics_width(network, group)), jnp.float32)
            for group in network.groups
        }
        carry = run(program, calibration, kernels, _Carry(maps[0], statistics), Norm.BATCH)
        calibrated, first = carry.buffers, carry.buffers["features"]

        def step(carry: _Carry, images: Array) -> tuple[_Carry, Array]:
            carry = run(program, images, kernels, carry, Norm.STORED)
            return carry, carry.buffers["features"]

        # Buffers of their own, since calibration and batches have different numbers of images; statistics go along.
        carry, rest = lax.scan(step, _Carry(maps[1], carry.statistics), batches)
        rest = jnp.moveaxis(rest, 0, 1).reshape(len(first), -1, first.shape[-1])
        return jnp.concatenate([first, rest], 1)[:-chunk], (calibrated, carry.buffers)

    return features


def _run_group(
    network: Network,
    group: Group,
    rows: Rows,
    kernels: dict[str, Tree],
    statistics: Float[Array, "rows width"],
    source: Array,
    target: Array,
    chunk: int,
    norm: Norm,
) -> tuple[Array, Float[Array, "rows width"]]:
    """Run all rows of a group; returns its target buffer and its rows' statistics."""

    def step(c: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        target, statistics = carry
        tables = rows.begin, rows.buffer_slot, rows.slot, rows.fan_in, rows.kind
        begin, buffer_slot, slot, fan_in, which = (_row(table, c) for table in tables)
        # What earlier rows of this very loop wrote is in the carry alone.
        origin = target if group.source == group.target else source

        def branch(name: str, kind: Kind) -> Callable[[], tuple[Array, Array]]:
            flat, unravel = ravel_pytree(_statistics(network, group, kind))
            width = len(flat)

            def row(sources: Array, blocks: Array, stored: Array) -> tuple[Array, Array]:
                def read(k: Any) -> Array:
                    return _row(origin, sources[k])

                variables = {
                    "params": jax.tree.map(lambda kernel: _row(kernel, slot), kernels[name]),
                    "batch_stats": unravel(stored[:width]),
                }

                def apply(variables: Tree) -> tuple[Array, Array]:
                    inputs = Sources(read, blocks, fan_in)
                    y, changed = kind.module.apply(variables, inputs, norm, mutable=["batch_stats"])
                    flat, _ = ravel_pytree(changed.get("batch_stats", {}))
                    # A switch needs one shape of all its branches: that of the kind with the most statistics.
                    return y.astype(target.dtype), jnp.pad(flat, (0, len(stored) - width))

                # No loop over pixels may slice the kernel out of all kernels anew. XLA's CPU backend looks through
                # a barrier, but not into a conditional; every row has a source.
                if chunk > 1:
                    return apply(lax.optimization_barrier(variables))
                nothing = jnp.zeros(target.shape[1:], target.dtype), jnp.zeros_like(stored)
                return lax.cond(fan_in > 0, apply, lambda _: nothing, variables)

            def chunk_of_rows() -> tuple[Array, Array]:
                window = [
                    lax.dynamic_slice_in_dim(table, begin, chunk) for table in (rows.sources, rows.blocks, statistics)
                ]
                if chunk == 1:
                    y, stored = row(*(table[0] for table in window))
                    return y[None], stored[None]
                # Slot and fan-in stay outside: under vmap, a kernel of each row would be copied, and a switch over a
                # batched fan-in would compute all its branches.
                return jax.vmap(row)(*window)

            return chunk_of_rows

        branches = [branch(name, kind) for name, kind in group.kinds]
        y, stored = lax.switch(which, branches) if len(branches) > 1 else branches[0]()
        target = lax.dynamic_update_slice_in_dim(target, y, buffer_slot, 0)
        if norm is Norm.BATCH:
            statistics = lax.dynamic_update_slice_in_dim(statistics, stored, begin, 0)
        return target, statistics

    return lax.fori_loop(0, rows.chunks, step, (target, statistics))


def _row(table: Any, number: Any) -> Array:
    """A row, which is never counted from the end."""
    return lax.dynamic_index_in_dim(table, number, 0, keepdims=False, allow_negative_indices=False)


def parameters(network: Network, group: Group, kind: Kind) -> Tree:
    """Shapes of a kind's kernels, with the axis of slots in front.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group, whose source says what a row reads.
        kind: the operation.
    """
    shapes = _variables(network, group, kind).get("params", {})
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((kind.slots, *leaf.shape), leaf.dtype), shapes)


def _statistics(network: Network, group: Group, kind: Kind) -> Tree:
    """A kind's normalisation statistics, all zero."""
    shapes = _variables(network, group, kind).get("batch_stats", {})
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _statistics_width(network: Network, group: Group) -> int:
    trees = [_statistics(network, group, kind) for _, kind in group.kinds]
    return max(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in trees)


@functools.cache
def _variables(network: Network, group: Group, kind: Kind) -> Tree:
    """Shapes of the variables of one slot."""

    def init() -> Tree:
        image = jnp.zeros((1, *network.buffers[group.source]), jnp.float32)
        # The fan-in is an array, for with a plain 1 a `Mix` would make no kernel.
        sources = Sources(lambda k: image, jnp.zeros(group.arity, jnp.int32), jnp.int32(1), padded=True)
        return kind.module.init(jax.random.key(0), sources, Norm.BATCH)

    with jax.enable_x64(False):  # Flax's initialisers would make kernels of 64 bits, which fit no map of 32
        return jax.eval_shape(init)
