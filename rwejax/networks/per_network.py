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
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rwejax.networks.backward_step import BackwardStep, Carry
from rwejax.networks.kernels import Kernels
from rwejax.networks.modules import Norm, shown
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
from rwejax.networks.row_modules import RowModule, by_kind, sources_of
from rwejax.networks.row_tables import TableRow, shaped, table_size

_Forward = tuple[Buffers, Array, Tree, Kept | None]
"""What lives on from row to row forwards: maps, running statistics, what was observed, and what is kept."""


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
            found = lax.map(lambda row, branches=branches: by_kind(row[0], branches, row[1]), (rows.kind, rows.slot))
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
        kept = {group.name: self._room_to_keep(group, len(images)) for group in self.network.groups}
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
        kept = dict(room.kept) if self.norm is Norm.TRAIN else dict.fromkeys(room.kept)
        seen, moved = observer.start, dict(statistics or {})
        for group in self.network.groups:
            rows, table = program.rows[group.name], moved.get(group.name, jnp.zeros((1, 0), jnp.float32))
            step = self._forward_step(group, rows, weights[group.name], observer, collection)
            buffers, moved[group.name], seen, kept[group.name] = lax.fori_loop(
                0, rows.chunks, step, (buffers, table, seen, kept[group.name])
            )
        return Passed(buffers, moved, seen, kept)

    def _room_to_keep(self, group: Group, images: int) -> Kept | None:
        if self.norm is not Norm.TRAIN:
            return None
        trees = [module.shapes.get("kept", {}) for module in self._modules(group)]
        shapes = [[(images, *leaf.shape[1:]) for leaf in jax.tree.leaves(tree)] for tree in trees]
        different = [set(each) - {()} for each in itertools.zip_longest(*shapes, fillvalue=())]
        outputs = [each.pop() if len(each) == 1 else (max(map(math.prod, each)),) for each in different]
        moments = table_size(self.network, group, "moments", self.norm)
        return Kept([jnp.zeros((group.rows, *shape)) for shape in outputs], jnp.zeros((group.rows, moments)))

    def _forward_step(
        self, group: Group, rows: Rows, weights: Array, observer: ActivationObserver, collection: str
    ) -> Callable[[Array, _Forward], _Forward]:
        def step(r: Array, carry: _Forward) -> _Forward:
            buffers, statistics, seen, kept = carry

            def branch(module: RowModule) -> Callable[[], tuple[Array, Array, Tree, Kept | None]]:
                def row() -> tuple[Array, Array, Tree, Kept | None]:
                    sources, params = sources_of(buffers[group.source], rows, r), module.params(TableRow(weights, r))
                    before = TableRow(statistics, r)
                    y, changed = module(sources, params, (collection, "kept", "moments"), statistics=before)
                    result = seen
                    for each in shown(changed.get(collection, {})):
                        result = observer.add(result, each.x, each.counts(rows.fan_in[r]))
                    if kept is None:
                        return y, before.whole(), result, None
                    after, _ = ravel_pytree(changed["batch_stats"])
                    return y, shaped(after, statistics.shape[1:]), result, _keep(changed, kept)

                return row

            branches = [branch(module) for module in self._modules(group)]
            y, after, seen, left = by_kind(rows.kind[r], branches)
            target = lax.dynamic_update_index_in_dim(buffers[group.target], y, rows.buffer_slot[r], 0)
            kept = jax.tree.map(lambda table, row: lax.dynamic_update_index_in_dim(table, row, r, 0), kept, left)
            statistics = lax.dynamic_update_index_in_dim(statistics, after, r, 0)
            return {**buffers, group.target: target}, statistics, seen, kept

        return step

    def backward(
        self,
        program: Program,
        weights: Tables,
        passed: Passed,
        features: Float[Array, "images d"],
        observer: ActivationObserver = NOTHING,
        room: Room | None = None,
    ) -> Gradients:
        """Run the network backwards.

        Args:
            program: the rows.
            weights: their kernels.
            passed: what `forward` returned for them.
            features: the gradient of a loss in the pooled features.
            observer: is shown the output of every convolution, and the gradient in it.
            room: where to write; None: in arrays of their own.
        """
        buffers, kept = passed.buffers, passed.kept
        maps = {**jax.tree.map(jnp.zeros_like, buffers), **(room.gradients if room else {}), "features": features[None]}
        reached = {name: jnp.full(len(each), name == "features") for name, each in maps.items()}
        tables = room.weights if room else jax.tree.map(jnp.zeros_like, weights)
        carry = Carry(maps, reached, tables, observer.start)
        for group in reversed(self.network.groups):
            rows, modules = program.rows[group.name], self._modules(group)
            step = BackwardStep(group, modules, rows, weights[group.name], buffers, kept[group.name], observer)
            carry = lax.fori_loop(0, rows.chunks, step, carry)
        return Gradients(carry.tables, carry.gradient("images", 0), carry.seen, carry.maps)

    def _modules(self, group: Group) -> list[RowModule]:
        return [RowModule(self.network, group, kind, self.norm) for _, kind in group.kinds]


def _keep(changed: Tree, kept: Kept) -> Kept:
    """What is kept of a row, in the shapes of its group."""
    outputs = jax.tree.leaves(changed.get("kept", {}))
    outputs += [jnp.zeros(0)] * (len(kept.outputs) - len(outputs))
    moments, _ = ravel_pytree(changed.get("moments", {}))
    return jax.tree.map(lambda x, table: shaped(x, table.shape[1:]), Kept(outputs, moments), kept)
