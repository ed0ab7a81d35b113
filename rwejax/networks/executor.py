"""One compiled executor runs every program of a space.

Rows of a group go through one loop of dynamic length, `chunk` rows of a slot at a time: one after another on a CPU,
vmapped with the kernel unbatched on an accelerator. Of a group's kinds only the one that a chunk has is computed.
Padding is never computed, and what a chunk computes beyond the end of its slot is never read.
Buffers of feature maps are donated by the caller and returned, so that a call neither asks for memory nor clears it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Shaped, UInt32

from rwejax.networks.codes import WORDS, most_relus, pack
from rwejax.networks.kernels import Kernels, no_statistics, statistics_width
from rwejax.networks.modules import Norm, Sources, shown
from rwejax.networks.program import Group, Kind, Network, Program

Tree = Any
Maps = dict[str, Shaped[Array, "rows ..."]]
"""Buffers by name; what they hold before a pass and after it means nothing."""


_Written = tuple[Array, Array, Any]
"""A map, statistics and codes: those of one row, of a chunk, or the buffers of all."""


@struct.dataclass
class _Carry:
    """What lives on from row to row: the buffers, and each row's normalisation statistics in one vector."""

    buffers: Maps
    statistics: dict[str, Float[Array, "rows width"]]


def map_shapes(
    network: Network, sizes: Mapping[str, int], calibration: int, batch: int, dtype: Any
) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, jax.ShapeDtypeStruct]]:
    """The buffers that a pass needs for the calibration images, and for a batch, where each has so many slots.

    Args:
        network: the groups and buffers of the space.
        sizes: slots of each buffer, see `rwejax.networks.buffer_sizes`.
        calibration: number of calibration images, over all devices.
        batch: images of a batch, likewise; 0 for none.
        dtype: of feature maps; features are float32, codes words of 32 bits.
    """

    def shapes(images: int) -> dict[str, jax.ShapeDtypeStruct]:
        return {
            name: jax.ShapeDtypeStruct((sizes[name], images, *shape), jnp.float32 if name == "features" else dtype)
            for name, shape in network.buffers.items()
            if name not in ("images", "codes")
        }

    codes = jax.ShapeDtypeStruct((sizes.get("codes", 0), WORDS, calibration), jnp.uint32)
    return shapes(calibration) | ({"codes": codes} if "codes" in sizes else {}), shapes(batch) if batch else {}


def make_features(
    network: Network, genomes: int, chunk: int, dtype: Any
) -> Callable[
    [Program, Float[Array, "c ..."], Float[Array, "b i ..."], Kernels, tuple[Maps, Maps]],
    tuple[Float[Array, "rows images d"], tuple[Maps, Maps]],
]:
    """Build the function that computes the features of all rows of a program, and the codes of its ReLUs.

    Args:
        network: the groups.
        genomes: the capacity that the programs were built with.
        chunk: rows computed at once.
        dtype: of feature maps and kernels; statistics and features are float32.

    Returns:
        A function of (program, calibration images, batches of images, kernels, maps), to be called inside a mesh axis
        `IMAGES_AXIS`. It takes normalisation statistics from the calibration images, holds them constant for the
        batches, and returns the features of the calibration images followed by those of the batches. The maps are the
        buffers for the calibration images and for a batch; they are to be donated, and come back. Where the network
        keeps codes, those of the calibration images are in the first ones' `codes`.
    """

    def run(program: Program, images: Array, kernels: Kernels, carry: _Carry, norm: Norm) -> _Carry:
        # A buffer of one row, number 0, which every program reads first; it is not the caller's to give or get back.
        buffers: dict[str, Any] = {**carry.buffers, "images": images[None].astype(dtype)}
        statistics = {}
        for group in network.groups:
            with jax.named_scope(group.name):  # so that profiles and compiled text say whose loop it is
                buffers[group.target], statistics[group.name], buffers["codes"] = _run_group(
                    network,
                    group,
                    program,
                    kernels[group.name],
                    carry.statistics[group.name],
                    buffers[group.source],
                    buffers[group.target],
                    buffers.get("codes"),
                    chunk,
                    norm,
                )
        return _Carry({name: buffers[name] for name in carry.buffers}, statistics)

    def features(
        program: Program, calibration: Array, batches: Array, kernels: Kernels, maps: tuple[Maps, Maps]
    ) -> tuple[Array, tuple[Maps, Maps]]:
        kernels = jax.tree.map(lambda kernel: kernel.astype(dtype), kernels)
        # The last chunk may reach beyond the rows, here and in all tables and buffers. Without room for it there,
        # `dynamic_slice` would move its window back, over rows of other slots, and say nothing.
        statistics = {
            group.name: jnp.zeros((group.rows * genomes + chunk, statistics_width(network, group)), jnp.float32)
            for group in network.groups
        }
        carry = run(program, calibration, kernels, _Carry(maps[0], statistics), Norm.BATCH)
        calibrated, first = carry.buffers, carry.buffers["features"]
        if not len(batches):
            return first[:-chunk], (calibrated, maps[1])

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
    program: Program,
    kernels: dict[str, Tree],
    statistics: Float[Array, "rows width"],
    source: Array,
    target: Array,
    codes: UInt32[Array, "relus words images"] | None,
    chunk: int,
    norm: Norm,
) -> tuple[Array, Float[Array, "rows width"], UInt32[Array, "relus words images"] | None]:
    """Run all rows of a group; returns its target buffer, its rows' statistics, and all codes."""
    rows = program.rows[group.name]
    places = program.codes.begin.get(group.name) if program.codes and norm is Norm.BATCH else None
    most = 0 if places is None else most_relus(network, group)
    collections = ["batch_stats", "relus"] if most else ["batch_stats"]

    def step(c: Array, carry: _Written) -> _Written:
        target, statistics, codes = carry
        tables = rows.begin, rows.buffer_slot, rows.slot, rows.fan_in, rows.kind
        begin, buffer_slot, slot, fan_in, which = (_row(table, c) for table in tables)
        # What earlier rows of this very loop wrote is in the carry alone.
        origin = target if group.source == group.target else source

        def branch(name: str, kind: Kind) -> Callable[[], _Written]:
            flat, unravel = ravel_pytree(no_statistics(network, group, kind))
            width = len(flat)

            def row(sources: Array, blocks: Array, stored: Array) -> _Written:
                def read(k: Any) -> Array:
                    return _row(origin, sources[k])

                variables = {
                    "params": jax.tree.map(lambda kernel: _row(kernel, slot), kernels[name]),
                    "batch_stats": unravel(stored[:width]),
                }

                def apply(variables: Tree) -> _Written:
                    inputs = Sources(read, blocks, fan_in)
                    y, changed = kind.module.apply(variables, inputs, norm, mutable=collections)
                    if kind.beside:
                        others = [each.apply(variables, inputs, norm, mutable=True)[0] for each in kind.beside]
                        y = jnp.concatenate([y, *others], -1)
                    flat, _ = ravel_pytree(changed.get("batch_stats", {}))
                    found = [pack(each.x) for each in shown(changed.get("relus", {}))]
                    # A switch needs one shape of all its branches: that of the kind with the most of everything.
                    found += [jnp.zeros(no_code.shape[1:], no_code.dtype)] * (most - len(found))
                    return (
                        y.astype(target.dtype),
                        jnp.pad(flat, (0, len(stored) - width)),
                        jnp.stack(found) if most else no_code,
                    )

                # No loop over pixels may slice the kernel out of all kernels anew. XLA's CPU backend looks through
                # a barrier, but not into a conditional; every row has a source.
                if chunk > 1:
                    return apply(lax.optimization_barrier(variables))
                nothing = jnp.zeros(target.shape[1:], target.dtype), jnp.zeros_like(stored), no_code
                return lax.cond(fan_in > 0, apply, lambda _: nothing, variables)

            def chunk_of_rows() -> _Written:
                window = [
                    lax.dynamic_slice_in_dim(table, begin, chunk) for table in (rows.sources, rows.blocks, statistics)
                ]
                if chunk == 1:
                    return jax.tree.map(lambda x: x[None], row(*(table[0] for table in window)))
                # Slot and fan-in stay outside: under vmap, a kernel of each row would be copied, and a switch over a
                # batched fan-in would compute all its branches.
                return jax.vmap(row)(*window)

            return chunk_of_rows

        branches = [branch(name, kind) for name, kind in group.kinds]
        y, stored, found = lax.switch(which, branches) if len(branches) > 1 else branches[0]()
        target = lax.dynamic_update_slice_in_dim(target, y, buffer_slot, 0)
        if norm is Norm.BATCH:
            statistics = lax.dynamic_update_slice_in_dim(statistics, stored, begin, 0)
        if most:
            # One row after another: each may write behind its own codes, where those of the next one begin.
            for r in range(chunk):
                codes = lax.dynamic_update_slice_in_dim(codes, found[r], _row(places, begin + r), 0)
        return target, statistics, codes

    no_code = jnp.zeros((most, WORDS, target.shape[1]), jnp.uint32)
    return lax.fori_loop(0, rows.chunks, step, (target, statistics, codes))


def _row(table: Any, number: Any) -> Array:
    """A row, which is never counted from the end."""
    return lax.dynamic_index_in_dim(table, number, 0, keepdims=False, allow_negative_indices=False)
