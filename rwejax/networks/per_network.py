"""One genome's network with weights of its own: what a pass that shares rows cannot give.

A program of one genome runs forwards row by row, and backwards through the same rows in reverse: a row is recomputed
from its sources and transposed, and the gradients that several readers send to a row add up in a second set of buffers.
So one compilation serves every genome, memory is that of two sets of maps, and gradients pass through the normalisation
statistics of the batch. Both passes can be differentiated forwards (`jax.jvp`).

The weights of a network are a table for each group: a row of the program, a layer of its operation, the flat kernel,
padded with zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from rwejax.networks.kernels import Kernels, parameters
from rwejax.networks.modules import Norm, Sources, shown
from rwejax.networks.program import Group, Kind, Network, Program, Rows

Tree = Any
Weights = dict[str, Float[Array, "rows layers size"]]
Buffers = dict[str, Array]
Images = Float[Array, "images height width channels"]


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


@dataclass(frozen=True)
class PerNetwork:
    """The passes of one genome's network. Programs are built for one genome and chunks of one row.

    Attributes:
        network: the groups of the space.
        norm: `Norm.BATCH`, or `Norm.NONE` for a network without normalisation.
    """

    network: Network
    norm: Norm = Norm.BATCH

    def weights(self, program: Program, kernels: Kernels) -> Weights:
        """The kernels of a program's rows, as the tables that the other methods take.

        Args:
            program: of one genome, in chunks of one row.
            kernels: of all slots of the space, as `initialise` draws them.
        """
        tables = {}
        for group in self.network.groups:
            rows, (layers, size) = program.rows[group.name], _table_shape(self.network, group)

            def gather(kernels: Tree, layers: int = layers, size: int = size) -> Callable[[Array], Array]:
                def row(slot: Array) -> Array:
                    table = jnp.zeros((layers, size), jnp.float32)
                    for layer, leaf in enumerate(jax.tree.leaves(kernels)):
                        table = table.at[layer, : leaf[0].size].set(leaf[slot].ravel())
                    return table

                return row

            branches = [gather(kernels[group.name][name]) for name, _ in group.kinds]
            found = lax.map(lambda row, branches=branches: _switch(row[0], branches, row[1]), (rows.kind, rows.slot))
            # Rows beyond the program's name slot 0, whose kernel would pass for weights of this network.
            used = jnp.arange(len(rows.slot)) < rows.chunks
            tables[group.name] = jnp.where(used[:, None, None], found, 0)
        return tables

    def forward(
        self,
        program: Program,
        weights: Weights,
        images: Images,
        observer: ActivationObserver = NOTHING,
        collection: str = "relus",
    ) -> tuple[Buffers, Tree]:
        """Run the network.

        Args:
            program: the rows.
            weights: their kernels.
            images: one batch, whose statistics normalise.
            observer: is shown inputs, and whether each counts or is padding.
            collection: whose inputs: those of every ReLU, "relus", or of every normalisation, "norms".

        Returns:
            The maps of every buffer, of which `features` has the pooled features in its row 0, and what was observed.
        """
        capacities = dict.fromkeys(self.network.buffers, 0)
        for group in self.network.groups:
            capacities[group.target] += group.rows
        shapes = {name: (capacities[name], len(images), *shape) for name, shape in self.network.buffers.items()}
        buffers = {name: jnp.zeros(shape, images.dtype) for name, shape in shapes.items()} | {"images": images[None]}
        seen = observer.start
        for group in self.network.groups:
            step = self._forward_step(group, program.rows[group.name], weights[group.name], observer, collection)
            buffers, seen = lax.fori_loop(0, program.rows[group.name].chunks, step, (buffers, seen))
        return buffers, seen

    def _forward_step(
        self, group: Group, rows: Rows, weights: Array, observer: ActivationObserver, collection: str
    ) -> Callable[[Array, tuple[Buffers, Tree]], tuple[Buffers, Tree]]:
        def step(r: Array, carry: tuple[Buffers, Tree]) -> tuple[Buffers, Tree]:
            buffers, seen = carry

            def branch(kind: Kind) -> Callable[[Array], tuple[Array, Tree]]:
                def row(table: Array) -> tuple[Array, Tree]:
                    values = _read(buffers[group.source], rows, r, group.arity)
                    y, inputs = self._apply(group, kind, rows, r, table, values, {}, collection)
                    result = seen
                    for each in shown(inputs):
                        result = observer.add(result, each.x, each.counts(rows.fan_in[r]))
                    return y, result

                return row

            y, seen = _switch(rows.kind[r], [branch(kind) for _, kind in group.kinds], weights[r])
            target = lax.dynamic_update_index_in_dim(buffers[group.target], y, rows.buffer_slot[r], 0)
            return {**buffers, group.target: target}, seen

        return step

    def backward(
        self,
        program: Program,
        weights: Weights,
        buffers: Buffers,
        features: Float[Array, "images d"],
        observer: ActivationObserver = NOTHING,
    ) -> tuple[Weights, Images, Tree]:
        """Run the network backwards.

        Args:
            program: the rows.
            weights: their kernels.
            buffers: what `forward` returned for them.
            features: the gradient of a loss in the pooled features.
            observer: is shown the output of every convolution, and the gradient in it.

        Returns:
            The gradients in the weights and in the images, and what was observed.
        """
        gradients = jax.tree.map(jnp.zeros_like, (buffers, weights))
        gradients[0]["features"] = features[None]
        carry = *gradients, observer.start
        for group in reversed(self.network.groups):
            step = self._backward_step(group, program.rows[group.name], weights[group.name], buffers, observer)
            carry = lax.fori_loop(0, program.rows[group.name].chunks, step, carry)
        maps, tables, seen = carry
        return tables, maps["images"][0], seen

    def _backward_step(
        self, group: Group, rows: Rows, weights: Array, buffers: Buffers, observer: ActivationObserver
    ) -> Callable[[Array, tuple[Buffers, Weights, Tree]], tuple[Buffers, Weights, Tree]]:
        def step(n: Array, carry: tuple[Buffers, Weights, Tree]) -> tuple[Buffers, Weights, Tree]:
            maps, tables, seen = carry
            r = rows.chunks - 1 - n
            # It is complete: whoever reads a row comes after it, and has sent its part before.
            gradient = maps[group.target][rows.buffer_slot[r]]

            def branch(kind: Kind) -> Callable[[Array], tuple[Array, Array, Tree]]:
                def row(table: Array) -> tuple[Array, Array, Tree]:
                    values = _read(buffers[group.source], rows, r, group.arity)
                    _, outputs = jax.eval_shape(lambda: self._apply(group, kind, rows, r, table, values, {}, "outputs"))
                    # Zeros added to what convolutions give: the gradient in them is that in the outputs.
                    shifts = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)

                    def apply(table: Array, values: list[Array], shifts: Tree) -> tuple[Array, Tree]:
                        return self._apply(group, kind, rows, r, table, values, shifts, "outputs")

                    _, transpose, outputs = jax.vjp(apply, table, values, shifts, has_aux=True)
                    in_table, in_values, in_outputs = transpose(gradient)
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

    def _apply(
        self, group: Group, kind: Kind, rows: Rows, r: Any, table: Array, values: list[Array], shifts: Tree, seen: str
    ) -> tuple[Array, list[Any]]:
        """A row's map, and what its modules show in a collection."""
        sources = Sources(lambda k: values[int(k)], rows.blocks[r], rows.fan_in[r], padded=True)
        variables = {"params": _unpack(self.network, group, kind, table)} | ({"shifts": shifts} if shifts else {})
        y, changed = kind.module.apply(variables, sources, self.norm, mutable=["batch_stats", seen])
        return y, changed.get(seen, {})


def _read(buffer: Array, rows: Rows, r: Any, arity: int) -> list[Array]:
    """The sources of a row, and zeros beyond its fan-in."""

    def read(k: int) -> Array:
        source = lax.dynamic_index_in_dim(buffer, rows.sources[r, k], 0, keepdims=False)
        # Every row has a first source. Entries beyond the fan-in are 0, which is some row, not none.
        return jnp.where(k < rows.fan_in[r], source, 0) if k else source

    return [read(k) for k in range(arity)]


def _switch(which: Array, branches: list[Callable[..., Any]], *operands: Any) -> Any:
    return lax.switch(which, branches, *operands) if len(branches) > 1 else branches[0](*operands)


def _table_shape(network: Network, group: Group) -> tuple[int, int]:
    """Layers of the group's operations and size of their kernels, the largest of both."""
    leaves = [jax.tree.leaves(parameters(network, group, kind)) for _, kind in group.kinds]
    return max(map(len, leaves)), max((leaf.size // leaf.shape[0] for each in leaves for leaf in each), default=0)


def _unpack(network: Network, group: Group, kind: Kind, table: Float[Array, "layers size"]) -> Tree:
    """The kernels of a row, as its module takes them."""
    leaves, tree = jax.tree.flatten(parameters(network, group, kind))
    kernels = [table[layer, : leaf.size // leaf.shape[0]].reshape(leaf.shape[1:]) for layer, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, kernels)
