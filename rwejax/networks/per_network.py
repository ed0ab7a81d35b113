"""One genome's network with weights of its own: what a pass that shares rows cannot give.

A program of one genome runs forwards row by row, and backwards through the same rows in reverse: what a row makes of
the sum over its sources is recomputed and transposed, and then, one after another, each summand
(`rwejax.networks.summands`). The gradients that several readers send to a row add up in a second set of buffers. So one
compilation serves every genome, memory is that of two sets of maps, and gradients pass through the normalisation
statistics of the batch. Both passes can be differentiated forwards (`jax.jvp`).

The weights of a network are a table for each group: a row of the program, and the variables of its operation one after
another, padded with zeros. So are the running statistics of one that is trained.
"""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from rwejax.networks.kernels import Kernels
from rwejax.networks.modules import Norm, Sources, shown
from rwejax.networks.passes import (
    NOTHING,
    ActivationObserver,
    Buffers,
    Gradients,
    Images,
    Kept,
    Passed,
    Room,
    Tables,
    Tree,
)
from rwejax.networks.program import Group, Network, Program, Rows
from rwejax.networks.row_modules import RowModule
from rwejax.networks.row_tables import TableRow, shaped, table_row, table_size
from rwejax.networks.summands import Known, Reading, Recorded, Summand, reading

_Forward = tuple[Buffers, Array, Tree, list[Array]]
"""What lives on from row to row forwards: maps, running statistics, what was observed, and what is kept."""
_Backward = tuple[Buffers, dict[str, Bool[Array, " rows"]], Tables, Tree]
"""The same backwards: gradients in maps, in which of these there is one, those in weights, and what was observed."""


@dataclass(frozen=True)
class PerNetwork:
    """The passes of one genome's network. Programs are built for one genome and chunks of one row.

    Attributes:
        network: the groups of the space.
        norm: `Norm.BATCH`, or `Norm.NONE` for a network without normalisation; `Norm.TRAIN` and `Norm.RUNNING` for one
            with scale, bias and running statistics.
    """

    network: Network
    norm: Norm = Norm.BATCH

    def weights(self, program: Program, kernels: Kernels) -> Tables:
        """The kernels of a program's rows, as the tables that the other methods take.

        Args:
            program: of one genome, in chunks of one row.
            kernels: of all slots of the space, as `initialise` draws them.
        """
        tables = {}
        for group in self.network.groups:
            rows, size = program.rows[group.name], table_size(self.network, group, "params")

            def gather(kernels: Tree, size: int = size) -> Callable[[Array], Array]:
                def row(slot: Array) -> Array:
                    flat, _ = ravel_pytree(jax.tree.map(lambda leaf: leaf[slot], kernels))
                    return jnp.pad(flat, (0, size - len(flat)))

                return row

            branches = [gather(kernels[group.name][name]) for name, _ in group.kinds]
            found = lax.map(lambda row, branches=branches: _switch(row[0], branches, row[1]), (rows.kind, rows.slot))
            # Rows beyond the program's name slot 0, whose kernel would pass for weights of this network.
            used = jnp.arange(len(rows.slot)) < rows.chunks
            tables[group.name] = jnp.where(used[:, None], found, 0)
        return tables

    def layer_sums(self, program: Program, tables: Tables) -> Float[Array, " layers"]:
        """The sum over each layer of each row, and zeros for rows and layers that a network lacks.

        Args:
            program: of one genome, in chunks of one row.
            tables: a number for each weight, as `weights` has them.
        """
        found = []
        for group in self.network.groups:
            table, trees = tables[group.name], [module.shapes.get("params", {}) for module in self._modules(group)]
            leaves = [[leaf.size for leaf in jax.tree.leaves(tree)] for tree in trees]
            most = max(map(len, leaves))
            # What is beyond a row's last layer counts for one more, which is left out.
            of_kind = np.full((len(leaves), table.shape[1]), most)
            for kind, sizes in enumerate(leaves):
                of_kind[kind, : sum(sizes)] = np.repeat(np.arange(len(sizes)), sizes)
            layers = jnp.asarray(of_kind)[program.rows[group.name].kind]
            sums = jax.vmap(functools.partial(jax.ops.segment_sum, num_segments=most + 1))(table, layers)
            found.append(sums[:, :most].ravel())
        return jnp.concatenate(found)

    def room(self, images: Images) -> Room:
        """Zeros for the maps of a pass, for what it keeps and for gradients.

        Args:
            images: of a batch.
        """
        capacities = dict.fromkeys(self.network.buffers, 0)
        for group in self.network.groups:
            capacities[group.target] += group.rows
        buffers = {
            name: jnp.zeros((capacities[name], len(images), *shape), images.dtype)
            for name, shape in self.network.buffers.items()
            if name != "images"
        }
        kept = {
            group.name: [jnp.zeros((group.rows, *shape)) for shape in self._kept_shapes(group, len(images))]
            for group in self.network.groups
        }
        sizes = {group.name: table_size(self.network, group, "params", self.norm) for group in self.network.groups}
        weights = {group.name: jnp.zeros((group.rows, sizes[group.name])) for group in self.network.groups}
        return Room(buffers, kept, buffers, weights)

    def forward(
        self,
        program: Program,
        weights: Tables,
        images: Images,
        observer: ActivationObserver = NOTHING,
        collection: str = "relus",
        statistics: Tables | None = None,
        room: Room | None = None,
    ) -> Passed:
        """Run the network.

        Args:
            program: the rows.
            weights: their kernels.
            images: one batch, whose statistics normalise.
            observer: is shown inputs, and whether each counts or is padding.
            collection: whose inputs: those of every ReLU, "relus", or of every normalisation, "norms".
            statistics: with `Norm.TRAIN` and `Norm.RUNNING`, the running statistics of each row.
            room: where to write; None: see `room`.
        """
        room = room or self.room(images)
        buffers = {**room.buffers, "images": images[None]}
        kept = {name: tables if self.norm is Norm.TRAIN else [] for name, tables in room.kept.items()}
        seen, moved = observer.start, dict(statistics or {})
        for group in self.network.groups:
            rows, table = program.rows[group.name], moved.get(group.name, jnp.zeros((1, 0), jnp.float32))
            step = self._forward_step(group, rows, weights[group.name], observer, collection)
            buffers, moved[group.name], seen, kept[group.name] = lax.fori_loop(
                0, rows.chunks, step, (buffers, table, seen, kept[group.name])
            )
        return Passed(buffers, moved, seen, kept)

    def _kept_shapes(self, group: Group, images: int) -> list[tuple[int, ...]]:
        """The shapes of what is kept of a row, see `Kept`; vectors are as long as the longest."""
        if self.norm is not Norm.TRAIN:
            return []
        trees = [module.shapes.get("kept", {}) for module in self._modules(group)]
        shapes = [[(images, *leaf.shape[1:]) for leaf in jax.tree.leaves(tree)] for tree in trees]
        different = [set(each) - {()} for each in itertools.zip_longest(*shapes, fillvalue=())]
        outputs = [each.pop() if len(each) == 1 else (max(map(math.prod, each)),) for each in different]
        return [*outputs, (table_size(self.network, group, "moments", self.norm),)]

    def _forward_step(
        self, group: Group, rows: Rows, weights: Array, observer: ActivationObserver, collection: str
    ) -> Callable[[Array, _Forward], _Forward]:
        trained = self.norm is Norm.TRAIN

        def step(r: Array, carry: _Forward) -> _Forward:
            buffers, statistics, seen, kept = carry

            def keep(changed: Tree) -> list[Array]:
                outputs = jax.tree.leaves(changed.get("kept", {}))
                outputs += [jnp.zeros(0)] * (len(kept) - 1 - len(outputs))
                moments, _ = ravel_pytree(changed.get("moments", {}))
                return [shaped(x, table.shape[1:]) for x, table in zip([*outputs, moments], kept, strict=True)]

            def branch(module: RowModule) -> Callable[[], tuple[Array, Array, Tree, list[Array]]]:
                def row() -> tuple[Array, Array, Tree, list[Array]]:
                    sources, params = _sources(buffers[group.source], rows, r), module.params(TableRow(weights, r))
                    before = TableRow(statistics, r)
                    y, changed = module(sources, params, (collection, "kept", "moments"), statistics=before)
                    result = seen
                    for each in shown(changed.get(collection, {})):
                        result = observer.add(result, each.x, each.counts(rows.fan_in[r]))
                    if not trained:
                        return y, before.whole(), result, []
                    after, _ = ravel_pytree(changed["batch_stats"])
                    return y, shaped(after, statistics.shape[1:]), result, keep(changed)

                return row

            branches = [branch(module) for module in self._modules(group)]
            y, after, seen, outputs = _switch(rows.kind[r], branches)
            target = lax.dynamic_update_index_in_dim(buffers[group.target], y, rows.buffer_slot[r], 0)
            kept = [lax.dynamic_update_index_in_dim(table, row, r, 0) for table, row in zip(kept, outputs, strict=True)]
            statistics = lax.dynamic_update_index_in_dim(statistics, after, r, 0)
            return {**buffers, group.target: target}, statistics, seen, kept

        return step

    def backward(
        self,
        program: Program,
        weights: Tables,
        buffers: Buffers,
        features: Float[Array, "images d"],
        observer: ActivationObserver = NOTHING,
        kept: Kept | None = None,
        room: Room | None = None,
    ) -> Gradients:
        """Run the network backwards.

        Args:
            program: the rows.
            weights: their kernels.
            buffers: what `forward` returned for them.
            features: the gradient of a loss in the pooled features.
            observer: is shown the output of every convolution, and the gradient in it.
            kept: what `forward` kept, if it did.
            room: where to write; None: in arrays of their own.
        """
        maps = {**jax.tree.map(jnp.zeros_like, buffers), **(room.gradients if room else {}), "features": features[None]}
        reached = {name: jnp.full(len(each), name == "features") for name, each in maps.items()}
        carry = maps, reached, room.weights if room else jax.tree.map(jnp.zeros_like, weights), observer.start
        for group in reversed(self.network.groups):
            rows, left = program.rows[group.name], None if kept is None else kept[group.name]
            step = self._backward_step(group, rows, weights[group.name], buffers, observer, left)
            carry = lax.fori_loop(0, rows.chunks, step, carry)
        maps, reached, tables, seen = carry
        return Gradients(tables, _gradient(maps["images"], reached["images"], 0), seen, maps)

    def _backward_step(
        self,
        group: Group,
        rows: Rows,
        weights: Array,
        buffers: Buffers,
        observer: ActivationObserver,
        kept: list[Array] | None,
    ) -> Callable[[Array, _Backward], _Backward]:
        images, source_shape = buffers[group.target].shape[1], buffers[group.source].shape[1:]
        modules = self._modules(group)
        readings = [reading(self.network, group, module.kind, images) for module in modules]
        stack_shape = group.arity, *source_shape
        shapes = {each.total or (stack_shape if each.several else source_shape) for each in readings}
        size = max(map(math.prod, shapes))

        # Gradients of different shapes go through vectors; others do not, since XLA computes a fusion that ends in a
        # vector element by element.
        def packed(x: Array) -> Array:
            return x if len(shapes) == 1 else shaped(x, (size,))

        def unpacked(x: Array, shape: tuple[int, ...]) -> Array:
            return x if len(shapes) == 1 else x[: math.prod(shape)].reshape(shape)

        def step(n: Array, carry: _Backward) -> _Backward:
            maps, reached, tables, seen = carry
            r = jnp.asarray(rows.chunks) - 1 - n
            # It is complete: whoever reads a row comes after it, and has sent its part before.
            gradient = _gradient(maps[group.target], reached[group.target], rows.buffer_slot[r])
            sources, own = _sources(buffers[group.source], rows, r), TableRow(weights, r)

            def after_sum(module: RowModule, how: Reading) -> Callable[[], tuple[Array, Array, Tree]]:
                """The gradients in the sum or in what is read, and in the weights; and what is observed."""

                def given(x: Array) -> Sources:
                    if how.total is not None:
                        return Known(**vars(sources), total=x)
                    return replace(sources, read=x.__getitem__ if how.several else lambda k: x)

                def row() -> tuple[Array, Array, Tree]:
                    params = module.params(own)
                    before = None if kept is None else module.kept(kept, r, images)

                    def apply(params: Tree, x: Array, shifts: Tree) -> tuple[Array, Tree]:
                        y, changed = module(given(x), params, ("outputs",), shifts=shifts, kept=before)
                        return y, changed.get("outputs", {})

                    if how.total is not None:
                        x = module.total(Recorded(**vars(sources)), params)
                    else:
                        x = jnp.stack([sources[k] for k in range(group.arity)]) if how.several else sources[0]
                    # Zeros added to what convolutions give: the gradient in them is that in the outputs.
                    _, outputs = jax.eval_shape(lambda: apply(params, x, {}))
                    shifts = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)
                    _, transpose, outputs = jax.vjp(apply, params, x, shifts, has_aux=True)
                    in_params, in_x, in_outputs = transpose(gradient)
                    result = seen
                    for output, in_output in zip(*map(jax.tree.leaves, (outputs, in_outputs)), strict=True):
                        result = observer.add(result, output, in_output)
                    return packed(in_x), table_row(in_params, own), result

                return row

            def of_summand(module: RowModule, singles: bool) -> Callable[[Array, Array], tuple[Array, Array]]:
                """The gradients in the k-th source, and in the weights that it is multiplied by."""

                def either(single: bool, k: Array, in_x: Array) -> tuple[Tree, Array]:
                    def apply(params: Tree, x: Array) -> Array:
                        of_x = replace(sources, read=lambda _: x)
                        return module.total(Summand(**vars(of_x), block=sources.blocks[k], single=single), params)

                    summand, transpose = jax.vjp(apply, module.params(own), sources[k])
                    return transpose(unpacked(in_x, summand.shape))

                def row(k: Array, in_x: Array) -> tuple[Array, Array]:
                    alone, together = (functools.partial(either, single) for single in (True, False))
                    found = lax.cond(sources.fan_in == 1, alone, together, k, in_x) if singles else together(k, in_x)
                    in_params, in_source = found
                    return in_source, table_row(in_params, own)

                return row

            def of_several(k: Array, in_x: Array) -> tuple[Array, Array]:
                """The same where several are read that are not added up."""
                return unpacked(in_x, stack_shape)[k], jnp.zeros_like(own.whole())

            def of_single(k: Array, in_x: Array) -> tuple[Array, Array]:
                """The same where one is read."""
                return unpacked(in_x, source_shape), jnp.zeros_like(own.whole())

            def onwards(module: RowModule, how: Reading) -> Callable[[Array, Array], tuple[Array, Array]]:
                if how.total is not None:
                    return of_summand(module, how.singles)
                return of_several if how.several else of_single

            both = list(zip(modules, readings, strict=True))
            in_x, in_table, seen = _switch(rows.kind[r], [after_sum(*each) for each in both])
            each_onwards = [onwards(*each) for each in both]
            different = list(dict.fromkeys(each_onwards))
            places = jnp.asarray([different.index(each) for each in each_onwards])

            def send(k: Array, sent: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
                source, target, reached, in_table = rows.sources[r, k], *sent
                in_source, more = _switch(places[rows.kind[r]], different, k, in_x)
                total = _gradient(target, reached, source) + in_source
                target = lax.dynamic_update_index_in_dim(target, total, source, 0)
                return target, lax.dynamic_update_index_in_dim(reached, True, source, 0), in_table + more

            sent = maps[group.source], reached[group.source], in_table
            target, now_reached, in_table = lax.fori_loop(0, sources.fan_in, send, sent)
            maps, reached = {**maps, group.source: target}, {**reached, group.source: now_reached}
            table = lax.dynamic_update_index_in_dim(tables[group.name], in_table, r, 0)
            return maps, reached, {**tables, group.name: table}, seen

        return step

    def _modules(self, group: Group) -> list[RowModule]:
        return [RowModule(self.network, group, kind, self.norm) for _, kind in group.kinds]


def _sources(buffer: Array, rows: Rows, r: Any) -> Sources:
    """What a row reads."""
    return Sources(lambda k: _row(buffer, rows.sources[r, k]), rows.blocks[r], rows.fan_in[r])


def _gradient(maps: Array, reached: Bool[Array, " rows"], row: Any) -> Array:
    """What readers have sent to a row so far. Where none has, there is anything."""
    return jnp.where(reached[row], _row(maps, row), 0)


def _row(maps: Array, row: Any) -> Array:
    return lax.dynamic_index_in_dim(maps, row, 0, keepdims=False)


def _switch(which: Array, branches: list[Callable[..., Any]], *operands: Any) -> Any:
    return lax.switch(which, branches, *operands) if len(branches) > 1 else branches[0](*operands)
