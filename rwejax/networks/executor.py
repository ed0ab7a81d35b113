"""One compiled executor runs every program of a space.

Rows of a group go through loops of dynamic length: one after another on a CPU, in chunks of a few sizes under vmap on
an accelerator. Rows of a chunk have one kind and fan-in, and each its own kernel, or the same where that makes quicker
convolutions. Of a group's kinds only the one that a chunk has is computed.
Buffers of feature maps are donated by the caller and returned, so that a call neither asks for memory nor clears it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt32

from rwejax.networks.codes import WORDS, pack, relus_by_kind
from rwejax.networks.kernels import Kernels, is_depthwise, no_statistics, shares_kernel, statistics_width
from rwejax.networks.modules import Norm, Sources, Unused, shown
from rwejax.networks.program import Group, Kind, Network, Program

Tree = Any
Maps = dict[str, Shaped[Array, "rows ..."]]
"""Buffers by name; what they hold before a pass and after it means nothing."""


_Written = tuple[Any, Any, Any]
"""A map, statistics and codes: those of one row, their shapes, those of a chunk, or the buffers of all."""


@struct.dataclass
class _Carry:
    """What lives on from row to row: the buffers, and each row's normalisation statistics in one vector."""

    buffers: Maps
    statistics: dict[str, Float[Array, "rows width"]]


def map_shapes(
    network: Network, sizes: Mapping[str, int], calibration: int, first: int, batch: int, dtype: Any
) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, jax.ShapeDtypeStruct]]:
    """The buffers that a pass needs for the first images, and for a batch of others, where each has so many slots.

    Args:
        network: the groups and buffers of the space.
        sizes: slots of each buffer, see `rwejax.networks.buffer_sizes`.
        calibration: number of calibration images, over all devices.
        first: images that go first, likewise: these, and perhaps others beside them.
        batch: images of a batch of others, likewise; 0 for none.
        dtype: of feature maps; features are float32, codes words of 32 bits.
    """

    def shapes(images: int) -> dict[str, jax.ShapeDtypeStruct]:
        return {
            name: jax.ShapeDtypeStruct((sizes[name], images, *shape), jnp.float32 if name == "features" else dtype)
            for name, shape in network.buffers.items()
            if name not in ("images", "codes")
        }

    codes = jax.ShapeDtypeStruct((sizes.get("codes", 0), WORDS, calibration), jnp.uint32)
    return shapes(first) | ({"codes": codes} if "codes" in sizes else {}), shapes(batch) if batch else {}


def make_features(
    network: Network, genomes: int, chunk_sizes: Sequence[int], dtype: Any, calibration: int
) -> Callable[
    [Program, Float[Array, "f ..."], Float[Array, "b i ..."], Kernels, tuple[Maps, Maps]],
    tuple[Float[Array, "rows images d"], tuple[Maps, Maps]],
]:
    """Build the function that computes the features of all rows of a program, and the codes of its ReLUs.

    Args:
        network: the groups.
        genomes: the capacity that the programs were built with.
        chunk_sizes: rows computed at once, descending.
        dtype: of feature maps and kernels; statistics and features are float32.
        calibration: number of calibration images of a device.

    Returns:
        A function of (program, first images, batches of images, kernels, maps), to be called inside a mesh axis
        `IMAGES_AXIS`. The first images begin with the calibration images. It takes normalisation statistics from these,
        holds them constant for all others, and returns the features of the first images followed by those of the
        batches. The maps are the buffers for the first images and for a batch; they are to be donated, and come back.
        Where the network keeps codes, those of the calibration images are in the first ones' `codes`.
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
                    chunk_sizes,
                    norm,
                )
        return _Carry({name: buffers[name] for name in carry.buffers}, statistics)

    def features(
        program: Program, images: Array, batches: Array, kernels: Kernels, maps: tuple[Maps, Maps]
    ) -> tuple[Array, tuple[Maps, Maps]]:
        kernels = jax.tree.map(lambda kernel: kernel.astype(dtype), kernels)
        # The last chunk may reach beyond the rows, here and in the program's tables.
        room = chunk_sizes[0] - 1
        statistics = {
            group.name: jnp.zeros((group.rows * genomes + room, statistics_width(network, group)), jnp.float32)
            for group in network.groups
        }
        carry = run(program, images, kernels, _Carry(maps[0], statistics), replace(Norm.BATCH, images=calibration))
        of_first, first = carry.buffers, carry.buffers["features"]
        if not len(batches):
            return first, (of_first, maps[1])

        def step(carry: _Carry, images: Array) -> tuple[_Carry, Array]:
            carry = run(program, images, kernels, carry, Norm.STORED)
            return carry, carry.buffers["features"]

        # Buffers of their own, for another number of images; statistics go along.
        carry, rest = lax.scan(step, _Carry(maps[1], carry.statistics), batches)
        rest = jnp.moveaxis(rest, 0, 1).reshape(len(first), -1, first.shape[-1])
        return jnp.concatenate([first, rest], 1), (of_first, carry.buffers)

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
    chunk_sizes: Sequence[int],
    norm: Norm,
) -> _Written:
    """Run all rows of a group; returns its target buffer, its rows' statistics, and all codes."""
    rows = program.rows[group.name]
    places = program.codes.begin.get(group.name) if program.codes and norm.stores else None
    own_codes = relus_by_kind(network, group) if places is not None else np.zeros(len(group.kinds), np.int32)
    like = (
        jax.ShapeDtypeStruct(target.shape[1:], target.dtype),
        jax.ShapeDtypeStruct(statistics.shape[1:], statistics.dtype),
        jax.ShapeDtypeStruct((int(own_codes.max()), WORDS, norm.images or 0), jnp.uint32),
    )
    dense, depthwise = (
        any(is_so(network, group, kind) for _, kind in group.kinds) for is_so in (shares_kernel, is_depthwise)
    )
    write = partial(_write, dense and not depthwise)
    branches = [_make_branch(network, group, kind, kernels[name], norm, like) for name, kind in group.kinds]

    def step(size: int, c: Array, carry: _Written) -> _Written:
        target, statistics, codes = carry
        begin, fan_in, which = (_row(table, c) for table in (rows.begin, rows.fan_in, rows.kind))
        # What earlier rows of this very loop wrote is in the carry alone.
        origin = target if group.source == group.target else source
        slots, sources, blocks, stored = (
            lax.dynamic_slice_in_dim(table, begin, size) for table in (rows.slot, rows.sources, rows.blocks, statistics)
        )
        chosen = [partial(branch, origin, fan_in, slots, sources, blocks, stored) for branch in branches]
        y, stored, found = lax.switch(which, chosen) if len(chosen) > 1 else chosen[0]()
        present = jnp.arange(size) < _row(rows.begin, c + 1) - begin
        target = write(target, y, lax.dynamic_slice_in_dim(rows.buffer_slot, begin, size), present)
        if norm.stores:
            # What is written behind a chunk that is not full belongs to rows that run later, and write it again.
            statistics = lax.dynamic_update_slice_in_dim(statistics, stored, begin, 0)
        if places is not None and own_codes.any():
            first = lax.dynamic_slice_in_dim(places, begin, size)
            codes = _write_codes(codes, found, first, present, jnp.asarray(own_codes)[which])
        return target, statistics, codes

    def go_round(number: Array, carry: _Written) -> _Written:
        for k, size in enumerate(chunk_sizes):
            run = number * len(chunk_sizes) + k
            with jax.named_scope(f"chunks_of_{size}"):
                carry = lax.fori_loop(_row(rows.runs, run), _row(rows.runs, run + 1), partial(step, size), carry)
        return carry

    everything = target, statistics, codes
    if len(chunk_sizes) == 1:
        return lax.fori_loop(0, rows.chunks, partial(step, chunk_sizes[0]), everything)
    return lax.fori_loop(0, rows.rounds, go_round, everything)


def _make_branch(
    network: Network, group: Group, kind: Kind, kernels: Tree, norm: Norm, like: _Written
) -> Callable[..., _Written]:
    """Build the function that computes a chunk of rows of a kind; `like` are the shapes of one row's results."""
    collections = ["batch_stats", "relus"] if like[2].shape[0] else ["batch_stats"]
    nothing = no_statistics(network, group, kind)
    flat, unravel = ravel_pytree(nothing)
    width = len(flat)
    one_slot = shares_kernel(network, group, kind)

    def apply(inputs: Sources, batch_stats: Tree, params: Tree) -> _Written:
        variables = {"params": params, "batch_stats": batch_stats}
        module = Unused() if kind.unused else kind.module
        y, changed = module.apply(variables, inputs, norm, mutable=collections)
        if kind.beside:
            others = [each.apply(variables, inputs, norm, mutable=True)[0] for each in kind.beside]
            y = jnp.concatenate([y, *others], -1)
        statistics, _ = ravel_pytree(changed.get("batch_stats", {}))
        codes = [pack(each.x[: norm.images]) for each in shown(changed.get("relus", {}))]
        # A switch needs one shape of all its branches: that of the kind with the most of everything.
        most, *shape = like[2].shape
        codes += [jnp.zeros(shape, like[2].dtype)] * (most - len(codes))
        return (
            y.astype(like[0].dtype),
            jnp.pad(statistics, (0, like[1].shape[0] - len(statistics))),
            jnp.stack(codes) if most else jnp.zeros(like[2].shape, like[2].dtype),
        )

    def branch(origin: Array, fan_in: Array, slots: Array, sources: Array, blocks: Array, stored: Array) -> _Written:
        def row(slot: Array, sources: Array, blocks: Array, stored: Array) -> _Written:
            inputs = Sources(lambda k: _row(origin, sources[k]), blocks, fan_in)
            compute = partial(apply, inputs, nothing if norm.stores else unravel(stored[:width]))
            params = jax.tree.map(lambda kernel: _row(kernel, slot), kernels)
            # No loop over pixels may slice the kernel out of all kernels anew. XLA's CPU backend looks through
            # a barrier, but not into a conditional; every row has a source.
            if len(slots) > 1:
                return compute(lax.optimization_barrier(params))
            zeros = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), like)
            return lax.cond(fan_in > 0, compute, lambda _: zeros, params)

        if len(slots) == 1:
            return jax.tree.map(lambda x: x[None], row(slots[0], sources[0], blocks[0], stored[0]))
        # The fan-in stays outside of vmap: a switch over a batched one would compute all its branches. So does a slot
        # that all rows share, for whose kernel would be copied.
        if one_slot:
            return jax.vmap(partial(row, slots[0]))(sources, blocks, stored)
        return jax.vmap(row)(slots, sources, blocks, stored)

    return branch


def _write(dense: bool, target: Array, y: Array, slots: Int[Array, " chunk"], present: Bool[Array, " chunk"]) -> Array:
    """Write the maps of a chunk's rows, as far as they are there, to their slots."""

    def at_once(target: Array) -> Array:
        nowhere = len(target) + jnp.arange(len(y))
        return target.at[jnp.where(present, slots, nowhere)].set(y, mode="drop", unique_indices=True)

    def one_by_one(target: Array) -> Array:
        # What is not there goes where the first row comes last.
        for row in reversed(range(len(y))):
            slot = jnp.where(present[row], slots[row], slots[0])
            target = lax.dynamic_update_slice_in_dim(target, y[row : row + 1], slot, 0)
        return target

    if len(y) == 1:
        return one_by_one(target)
    # A TPU's compiler lays maps out for its convolutions. Where these are dense, it turns them round for a scatter, and
    # all takes six times as long; where they are depthwise, one row after another needs three times the memory.
    return lax.platform_dependent(target, tpu=one_by_one if dense else at_once, default=at_once)


def _write_codes(
    codes: Array, found: Array, first: Int[Array, " chunk"], present: Bool[Array, " chunk"], own: Int[Array, ""]
) -> Array:
    """Write the codes of a chunk's rows, each of which has so many of its own, to their places."""
    rows, most = found.shape[:2]
    if rows == 1:
        # It may write behind its own codes, where those of the next one begin.
        return lax.dynamic_update_slice_in_dim(codes, found[0], first[0], 0)
    k = jnp.arange(most)
    nowhere = len(codes) + jnp.arange(rows * most).reshape(rows, most)
    places = jnp.where(present[:, None] & (k < own), first[:, None] + k, nowhere)
    return codes.at[places].set(found, mode="drop", unique_indices=True)


def _row(table: Any, number: Any) -> Array:
    """A row, which is never counted from the end."""
    return lax.dynamic_index_in_dim(table, number, 0, keepdims=False, allow_negative_indices=False)
