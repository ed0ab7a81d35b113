"""One genome's network with weights of its own: what a pass that shares rows cannot give.

A program of one genome runs forwards row by row, and backwards through the same rows in reverse: a row is recomputed
from its sources and transposed, and the gradients that several readers send to a row add up in a second set of buffers.
So one compilation serves every genome, memory is that of two sets of maps, and gradients pass through the normalisation
statistics of the batch. Both passes can be differentiated forwards (`jax.jvp`).

The weights of a network are a table for each group: a row of the program, and the variables of its operation one after
another, padded with zeros. So are the running statistics of one that is trained.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rwejax.networks.kernels import Kernels, row_variables
from rwejax.networks.modules import Norm, Sources, Unused, shown
from rwejax.networks.program import Group, Kind, Network, Program, Rows

Tree = Any
Tables = dict[str, Float[Array, "rows size"]]
Buffers = dict[str, Array]
Images = Float[Array, "images height width channels"]
Outputs = dict[str, list[Float[Array, "rows size"]]]
"""By group: the output of each row's first convolution, of its second, and so on."""
_Forward = tuple[Buffers, Array, Tree, list[Array]]
"""What lives on from row to row forwards: maps, running statistics, what was observed, and outputs of convolutions."""
_Backward = tuple[Buffers, Tables, Tree]
"""The same backwards: gradients in maps and in weights, and what was observed."""


@dataclass(frozen=True)
class ActivationObserver:
    """Reduces what passes by in a pass.

    Attributes:
        start: what is known before the first.
        add: takes what is known and two arrays, and returns what is known then, of the same shape.
    """

    start: Tree
    add: Callable[[Tree, Array, Array], Tree]


NOTHING = ActivationObserver((), lambda seen, first, second: seen)


class Passed(NamedTuple):
    """What a pass forwards leaves.

    Attributes:
        buffers: the maps of every buffer, of which `features` has the pooled features in its row 0.
        statistics: with `Norm.TRAIN`, the running statistics of each row after it.
        seen: what was observed.
        kept: with `Norm.TRAIN`, the output of each convolution, which the pass backwards need not compute again.
    """

    buffers: Buffers
    statistics: Tables
    seen: Tree
    kept: Outputs


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
            table, trees = tables[group.name], [self._shapes(group, kind).get("params", {}) for _, kind in group.kinds]
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

    def room(self, images: int, dtype: Any = jnp.float32) -> tuple[Buffers, Outputs]:
        """Zeros for the maps of a pass and for the outputs of its convolutions.

        A pass that is given those of another need not clear them.

        Args:
            images: of a batch.
            dtype: of the maps.
        """
        capacities = dict.fromkeys(self.network.buffers, 0)
        for group in self.network.groups:
            capacities[group.target] += group.rows
        buffers = {
            name: jnp.zeros((capacities[name], images, *shape), dtype)
            for name, shape in self.network.buffers.items()
            if name != "images"
        }
        kept = {
            group.name: [jnp.zeros((group.rows, size)) for size in self._output_sizes(group, images)]
            for group in self.network.groups
        }
        return buffers, kept

    def forward(
        self,
        program: Program,
        weights: Tables,
        images: Images,
        observer: ActivationObserver = NOTHING,
        collection: str = "relus",
        statistics: Tables | None = None,
        room: tuple[Buffers, Outputs] | None = None,
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
        buffers, kept = self.room(len(images), images.dtype) if room is None else room
        buffers, kept = {**buffers, "images": images[None]}, dict(kept)
        seen, moved = observer.start, dict(statistics or {})
        for group in self.network.groups:
            rows, table = program.rows[group.name], moved.get(group.name, jnp.zeros((1, 0), jnp.float32))
            step = self._forward_step(group, rows, weights[group.name], observer, collection)
            buffers, moved[group.name], seen, kept[group.name] = lax.fori_loop(
                0, rows.chunks, step, (buffers, table, seen, kept[group.name])
            )
        return Passed(buffers, moved, seen, kept)

    def _output_sizes(self, group: Group, images: int) -> list[int]:
        """Numbers in the output of the first convolution of a row, of the second, and so on: the most of its kinds."""
        if self.norm is not Norm.TRAIN:
            return []
        trees = [row_variables(self.network, group, kind, Norm.TRAIN).get("kept", {}) for _, kind in group.kinds]
        sizes = [[images * leaf.size for leaf in jax.tree.leaves(tree)] for tree in trees]
        return [max(each) for each in itertools.zip_longest(*sizes, fillvalue=0)]

    def _forward_step(
        self, group: Group, rows: Rows, weights: Array, observer: ActivationObserver, collection: str
    ) -> Callable[[Array, _Forward], _Forward]:
        trained = self.norm is Norm.TRAIN

        def step(r: Array, carry: _Forward) -> _Forward:
            buffers, statistics, seen, kept = carry

            def branch(kind: Kind) -> Callable[[Array, Array], tuple[Array, Array, Tree, list[Array]]]:
                def row(table: Array, before: Array) -> tuple[Array, Array, Tree, list[Array]]:
                    read = partial(self._source, buffers[group.source], rows, r)
                    sources = Sources(read, rows.blocks[r], rows.fan_in[r], self._padded)
                    params = self._params(group, kind, table)
                    y, changed = self._apply(group, kind, sources, params, {}, (collection, "kept"), before)
                    result = seen
                    for each in shown(changed.get(collection, {})):
                        result = observer.add(result, each.x, each.counts(rows.fan_in[r]))
                    flat, _ = ravel_pytree(changed["batch_stats"] if trained else ())
                    outputs = [leaf.ravel() for leaf in jax.tree.leaves(changed.get("kept", {}) if trained else ())]
                    outputs += [jnp.zeros(0)] * (len(kept) - len(outputs))
                    outputs = [_filled(output, table.shape[1]) for output, table in zip(outputs, kept, strict=True)]
                    return y, before.at[: len(flat)].set(flat), result, outputs

                return row

            branches = [branch(kind) for _, kind in group.kinds]
            y, after, seen, outputs = _switch(rows.kind[r], branches, weights[r], statistics[r])
            target = lax.dynamic_update_index_in_dim(buffers[group.target], y, rows.buffer_slot[r], 0)
            kept = [lax.dynamic_update_index_in_dim(table, row, r, 0) for table, row in zip(kept, outputs, strict=True)]
            return {**buffers, group.target: target}, statistics.at[r].set(after), seen, kept

        return step

    def backward(
        self,
        program: Program,
        weights: Tables,
        buffers: Buffers,
        features: Float[Array, "images d"],
        observer: ActivationObserver = NOTHING,
        kept: Outputs | None = None,
    ) -> tuple[Tables, Images, Tree]:
        """Run the network backwards.

        Args:
            program: the rows.
            weights: their kernels.
            buffers: what `forward` returned for them.
            features: the gradient of a loss in the pooled features.
            observer: is shown the output of every convolution, and the gradient in it.
            kept: the outputs of convolutions that `forward` kept, if it did.

        Returns:
            The gradients in the weights and in the images, and what was observed.
        """
        gradients = jax.tree.map(jnp.zeros_like, (buffers, weights))
        gradients[0]["features"] = features[None]
        carry = *gradients, observer.start
        for group in reversed(self.network.groups):
            outputs = None if kept is None else kept[group.name]
            step = self._backward_step(group, program.rows[group.name], weights[group.name], buffers, observer, outputs)
            carry = lax.fori_loop(0, program.rows[group.name].chunks, step, carry)
        maps, tables, seen = carry
        return tables, maps["images"][0], seen

    def _backward_step(
        self,
        group: Group,
        rows: Rows,
        weights: Array,
        buffers: Buffers,
        observer: ActivationObserver,
        kept: list[Array] | None,
    ) -> Callable[[Array, _Backward], _Backward]:
        def step(n: Array, carry: _Backward) -> _Backward:
            maps, tables, seen = carry
            r = rows.chunks - 1 - n
            # It is complete: whoever reads a row comes after it, and has sent its part before.
            gradient = maps[group.target][rows.buffer_slot[r]]

            def branch(kind: Kind) -> Callable[[Array], tuple[Array, Array, Tree]]:
                def row(table: Array) -> tuple[Array, Array, Tree]:
                    values = [self._source(buffers[group.source], rows, r, k) for k in range(group.arity)]
                    params = self._params(group, kind, table)
                    before = None if kept is None else self._kept(group, kind, kept, r, gradient.shape[0])

                    def apply(params: Tree, values: list[Array], shifts: Tree) -> tuple[Array, Tree]:
                        read, transposed = values.__getitem__, not self._padded
                        sources = Sources(read, rows.blocks[r], rows.fan_in[r], self._padded, transposed)
                        y, changed = self._apply(group, kind, sources, params, shifts, ("outputs",), kept=before)
                        return y, changed.get("outputs", {})

                    # Zeros added to what convolutions give: the gradient in them is that in the outputs.
                    _, outputs = jax.eval_shape(lambda: apply(params, values, {}))
                    shifts = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)
                    _, transpose, outputs = jax.vjp(apply, params, values, shifts, has_aux=True)
                    in_params, in_values, in_outputs = transpose(gradient)
                    in_table, _ = ravel_pytree(in_params)
                    in_table = _filled(in_table, len(table)).astype(table.dtype)
                    result = seen
                    for output, in_output in zip(*map(jax.tree.leaves, (outputs, in_outputs)), strict=True):
                        result = observer.add(result, output, in_output)
                    return jnp.stack(in_values), in_table, result

                return row

            branches = [branch(kind) for _, kind in group.kinds]
            in_values, in_table, seen = _switch(rows.kind[r], branches, weights[r])
            tables = {**tables, group.name: lax.dynamic_update_index_in_dim(tables[group.name], in_table, r, 0)}

            def send(k: Array, target: Array) -> Array:
                return target.at[rows.sources[r, k]].add(in_values[k])

            return {**maps, group.source: lax.fori_loop(0, rows.fan_in[r], send, maps[group.source])}, tables, seen

        return step

    @property
    def _padded(self) -> bool:
        """Whether sources beyond a row's fan-in are zeros that can be read, so that passes can be differentiated."""
        return self.norm not in (Norm.TRAIN, Norm.RUNNING)

    def _source(self, buffer: Array, rows: Rows, r: Any, k: int) -> Array:
        """The k-th source of a row."""
        source = lax.dynamic_index_in_dim(buffer, rows.sources[r, k], 0, keepdims=False)
        # Every row has a first source. Entries beyond the fan-in are 0, which is some row, not none.
        return jnp.where(k < rows.fan_in[r], source, 0) if k and self._padded else source

    def _kept(self, group: Group, kind: Kind, kept: list[Array], r: Any, images: int) -> Tree:
        """The outputs of a row's convolutions, as its module keeps them."""
        leaves, tree = jax.tree.flatten(self._shapes(group, kind).get("kept", {}))
        found = [
            lax.dynamic_slice(table, (r, 0), (1, images * leaf.size)).reshape(images, *leaf.shape[1:])
            for table, leaf in zip(kept, leaves, strict=False)
        ]
        return jax.tree.unflatten(tree, found)

    def _params(self, group: Group, kind: Kind, table: Array) -> Tree:
        """The parameters of a row, as its module takes them."""
        return unravel(self._shapes(group, kind).get("params", {}), table)

    def _shapes(self, group: Group, kind: Kind) -> Tree:
        trained = self.norm in (Norm.TRAIN, Norm.RUNNING)
        return row_variables(self.network, group, kind, Norm.TRAIN if trained else Norm.BATCH)

    def _apply(
        self,
        group: Group,
        kind: Kind,
        sources: Sources,
        params: Tree,
        shifts: Tree,
        seen: tuple[str, ...],
        statistics: Array | None = None,
        kept: Tree | None = None,
    ) -> tuple[Array, Tree]:
        """A row's map, and what its modules leave: running statistics, and what they show in some collections."""
        shapes, variables = self._shapes(group, kind), {"params": params}
        if shifts:
            variables["shifts"] = shifts
        if statistics is not None and self.norm in (Norm.TRAIN, Norm.RUNNING):
            variables["batch_stats"] = unravel(shapes.get("batch_stats", {}), statistics)
        if kept is not None:
            variables["kept"] = kept
        module = Unused() if kind.unused else kind.module
        y, changed = module.apply(variables, sources, self.norm, mutable=["batch_stats", *seen])
        return y, {"batch_stats": variables.get("batch_stats", {}), **changed}


def _filled(row: Float[Array, " n"], size: int) -> Float[Array, " size"]:
    """A vector with zeros behind it."""
    return jnp.pad(row, (0, size - len(row))) if len(row) < size else row


def _switch(which: Array, branches: list[Callable[..., Any]], *operands: Any) -> Any:
    return lax.switch(which, branches, *operands) if len(branches) > 1 else branches[0](*operands)


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
