"""One compiled executor runs every program of a space.

Rows of a group go through one loop of dynamic length, `chunk` rows of a slot at a time: one after another on a CPU,
vmapped with the kernel unbatched on an accelerator. Padding is never computed, and a chunk that runs over the end of
its slot writes places that a later slot overwrites. Buffers of feature maps live for one batch of images.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Float

from rwejax.networks.program import Group, Network, Program, Rows

Tree = Any
Kernels = dict[str, Tree]


@struct.dataclass
class _Carry:
    """What lives on from row to row: the buffers, and each row's normalisation statistics."""

    buffers: dict[str, Array]
    statistics: dict[str, Tree]


def initialise(network: Network, key: jax.Array) -> Kernels:
    """Random kernels for every slot, stacked by group."""
    kernels = {}
    for group, group_key in zip(network.groups, jax.random.split(key, len(network.groups)), strict=True):
        slot_keys = jax.random.split(group_key, group.slots)
        kernels[group.name] = jax.vmap(lambda k, group=group: _variables(network, group, k)["params"])(slot_keys)
    return kernels


def make_features(
    network: Network, genomes: int, chunk: int
) -> Callable[[Program, Float[Array, "c ..."], Float[Array, "b i ..."], Kernels], Float[Array, "rows images d"]]:
    """Build the function that computes the features of all rows of a program.

    Args:
        network: the groups.
        genomes: the capacity that the programs were built with.
        chunk: rows computed at once.

    Returns:
        A function of (program, calibration images, batches of images, kernels), to be called inside a mesh axis
        `IMAGES_AXIS`. It takes normalisation statistics from the calibration images, holds them constant for the
        batches, and returns the features of the calibration images followed by those of the batches.
    """

    def empty(images: int) -> dict[str, Array]:
        rows = dict.fromkeys(network.buffers, chunk)
        for group in network.groups:
            rows[group.target] += group.capacity(genomes)
        shapes = {name: (rows[name], images, *shape) for name, shape in network.buffers.items() if name != "images"}
        return {name: lax.empty(shape, jnp.float32) for name, shape in shapes.items()}

    def run(program: Program, images: Array, kernels: Kernels, carry: _Carry, calibrate: bool) -> _Carry:
        buffers = {**carry.buffers, "images": images[None]}
        statistics = {}
        for group in network.groups:
            buffers[group.target], statistics[group.name] = _run_group(
                group,
                program.rows[group.name],
                kernels[group.name],
                carry.statistics[group.name],
                buffers[group.source],
                buffers[group.target],
                chunk,
                calibrate,
            )
        del buffers["images"]
        return _Carry(buffers, statistics)

    def features(program: Program, calibration: Array, batches: Array, kernels: Kernels) -> Array:
        statistics = {group.name: _empty_statistics(network, group, genomes, chunk) for group in network.groups}
        carry = run(program, calibration, kernels, _Carry(empty(len(calibration)), statistics), True)
        first = carry.buffers["features"]

        def step(carry: _Carry, images: Array) -> tuple[_Carry, Array]:
            carry = run(program, images, kernels, carry, False)
            return carry, carry.buffers["features"]

        _, rest = lax.scan(step, _Carry(empty(batches.shape[1]), carry.statistics), batches)
        rest = jnp.moveaxis(rest, 0, 1).reshape(len(first), -1, first.shape[-1])
        return jnp.concatenate([first, rest], 1)[:-chunk]

    return features


def _run_group(
    group: Group,
    rows: Rows,
    kernels: Tree,
    statistics: Tree,
    source: Array,
    target: Array,
    chunk: int,
    calibrate: bool,
) -> tuple[Array, Tree]:
    """Run all rows of a group; returns its target buffer and its rows' statistics."""

    def step(c: Array, carry: tuple[Array, Tree]) -> tuple[Array, Tree]:
        target, statistics = carry
        slot, begin, fan_in = rows.slot[c], rows.begin[c], rows.fan_in[c]
        params = jax.tree.map(lambda kernel: kernel[slot], kernels)
        origin = target if group.source == group.target else source

        def row(sources: Array, blocks: Array, batch_stats: Tree) -> tuple[Array, Tree]:
            def read(k: Any) -> Array:
                return lax.dynamic_index_in_dim(origin, sources[k], 0, keepdims=False)

            variables = {"params": params, "batch_stats": batch_stats}
            y, changed = group.module.apply(variables, read, blocks, fan_in, calibrate, mutable=["batch_stats"])
            return y, changed.get("batch_stats", {})

        def window(table: Any) -> Array:
            return lax.dynamic_slice_in_dim(table, begin, chunk)

        arguments = window(rows.sources), window(rows.blocks), jax.tree.map(window, statistics)
        if chunk == 1:
            out = jax.tree.map(lambda x: x[None], row(*jax.tree.map(lambda x: x[0], arguments)))
        else:
            out = jax.vmap(row)(*arguments)

        def write(table: Array, values: Array, place: Any) -> Array:
            return lax.dynamic_update_slice_in_dim(table, values, place, 0)

        target = write(target, out[0], rows.first + begin)
        if calibrate:
            statistics = jax.tree.map(lambda table, values: write(table, values, begin), statistics, out[1])
        return target, statistics

    return lax.fori_loop(0, rows.chunks, step, (target, statistics))


def _variables(network: Network, group: Group, key: jax.Array) -> Tree:
    """Variables of one slot of a group, from a single image of zeros."""

    def read(k: Any) -> Array:
        return jnp.zeros((1, *network.buffers[group.source]))

    blocks = jnp.zeros(group.arity, jnp.int32)
    return group.module.init(key, read, blocks, jnp.int32(1), True)


def _empty_statistics(network: Network, group: Group, genomes: int, chunk: int) -> Tree:
    """Room for the statistics of every row of a group."""
    shapes = jax.eval_shape(lambda: _variables(network, group, jax.random.key(0))).get("batch_stats", {})
    rows = group.capacity(genomes) + chunk
    return jax.tree.map(lambda shape: jnp.zeros((rows, *shape.shape), shape.dtype), shapes)
