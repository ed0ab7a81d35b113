"""A row of the pass backwards: from the gradient in its map to those in its weights and in what it reads.

What the row makes of the sum over its sources is transposed first, then one summand after another
(`rwejax.networks.summands`).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from rwejax.networks.modules import Sources
from rwejax.networks.passes import ActivationObserver, Buffers, Kept, Tables, Tree
from rwejax.networks.program import Group, Rows
from rwejax.networks.row_modules import RowModule, by_kind, map_of, sources_of
from rwejax.networks.row_tables import TableRow, shaped, table_row
from rwejax.networks.summands import Known, Reading, Recorded, Summand

Gradient = Float[Array, "..."]


class Carry(NamedTuple):
    """What lives on from row to row.

    Attributes:
        maps: gradients in maps.
        reached: in which of these there is one; the others hold anything.
        tables: gradients in weights.
        seen: what was observed.
    """

    maps: Buffers
    reached: dict[str, Bool[Array, " rows"]]
    tables: Tables
    seen: Tree

    def gradient(self, buffer: str, row: Any) -> Gradient:
        """What readers have sent to a map so far.

        Args:
            buffer: the map's.
            row: the map's.
        """
        return _gradient(self.maps[buffer], self.reached[buffer], row)


class _Row(NamedTuple):
    """A row: its number, what it reads, its weights, and the gradient in its map."""

    number: Int[Array, ""]
    sources: Sources
    weights: TableRow
    gradient: Gradient


@dataclass(frozen=True, eq=False)  # JAX hashes the body of a loop
class BackwardStep:
    """The rows of a group, one a call, from the last to the first.

    Attributes:
        group: one of the space's.
        modules: of its kinds.
        rows: of the program.
        weights: their table.
        buffers: what the pass forwards has left in them.
        kept: what it has kept, if it did.
        observer: is shown the output of every convolution, and the gradient in it.
    """

    group: Group
    modules: list[RowModule]
    rows: Rows
    weights: Float[Array, "rows size"]
    buffers: Buffers
    kept: Kept | None
    observer: ActivationObserver

    def __call__(self, n: Int[Array, ""], carry: Carry) -> Carry:
        """A row.

        Args:
            n: as many come after it.
            carry: what these have left.
        """
        maps, reached, tables, seen = carry
        group, r = self.group, jnp.asarray(self.rows.chunks) - 1 - n
        # It is complete: whoever reads a row comes after it, and has sent its part before.
        gradient = carry.gradient(group.target, self.rows.buffer_slot[r])
        row = _Row(r, sources_of(self.buffers[group.source], self.rows, r), TableRow(self.weights, r), gradient)
        kind = self.rows.kind[r]
        in_x, in_weights, seen = by_kind(
            kind, [functools.partial(self._after_sum, *each, row, seen) for each in self._kinds]
        )
        each_onwards = [self._onwards(*each) for each in self._kinds]
        different = list(dict.fromkeys(each_onwards))
        places = jnp.asarray([different.index(each) for each in each_onwards])

        def send(k: Array, sent: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            source, maps, reached, in_weights = self.rows.sources[r, k], *sent
            in_source, more = by_kind(places[kind], [functools.partial(each, row) for each in different], k, in_x)
            total = _gradient(maps, reached, source) + in_source
            maps = lax.dynamic_update_index_in_dim(maps, total, source, 0)
            return maps, lax.dynamic_update_index_in_dim(reached, True, source, 0), in_weights + more

        sent = maps[group.source], reached[group.source], in_weights
        in_sources, now_reached, in_weights = lax.fori_loop(0, row.sources.fan_in, send, sent)
        table = lax.dynamic_update_index_in_dim(tables[group.name], in_weights, r, 0)
        return Carry(
            {**maps, group.source: in_sources},
            {**reached, group.source: now_reached},
            {**tables, group.name: table},
            seen,
        )

    def _after_sum(self, module: RowModule, how: Reading, row: _Row, seen: Tree) -> tuple[Array, Array, Tree]:
        """The gradients in the sum or in what is read, and in the weights; and what is observed."""
        sources, params = row.sources, module.params(row.weights)
        kept = None if self.kept is None else module.kept(self.kept, row.number, self._images)

        def given(x: Array) -> Sources:
            if how.total is not None:
                return Known(**vars(sources), total=x)
            return replace(sources, read=x.__getitem__ if how.several else lambda k: x)

        def apply(params: Tree, x: Array, shifts: Tree) -> tuple[Array, Tree]:
            y, changed = module(given(x), params, ("outputs",), shifts=shifts, kept=kept)
            return y, changed.get("outputs", {})

        if how.total is not None:
            x = module.total(Recorded(**vars(sources)), params)
        else:
            x = jnp.stack([sources[k] for k in range(self.group.arity)]) if how.several else sources[0]
        # Zeros added to what convolutions give: the gradient in them is that in the outputs.
        _, outputs = jax.eval_shape(lambda: apply(params, x, {}))
        shifts = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)
        _, transpose, outputs = jax.vjp(apply, params, x, shifts, has_aux=True)
        in_params, in_x, in_outputs = transpose(row.gradient)
        for output, in_output in zip(*map(jax.tree.leaves, (outputs, in_outputs)), strict=True):
            seen = self.observer.add(seen, output, in_output)
        return self._packed(in_x), table_row(in_params, row.weights), seen

    def _onwards(self, module: RowModule, how: Reading) -> Callable[[_Row, Array, Array], tuple[Array, Array]]:
        """What takes the gradient of `_after_sum` to those in the k-th source, and in the weights on the way to it."""
        if how.total is not None:
            return functools.partial(self._of_summand, module, how.singles)
        return self._of_several if how.several else self._of_single

    def _of_summand(
        self, module: RowModule, singles: bool, row: _Row, k: Array, in_x: Array
    ) -> tuple[Gradient, Gradient]:
        def of(single: bool, k: Array, in_x: Array) -> tuple[Tree, Array]:
            def apply(params: Tree, x: Array) -> Array:
                of_x = replace(row.sources, read=lambda _: x)
                return module.total(Summand(**vars(of_x), block=row.sources.blocks[k], single=single), params)

            summand, transpose = jax.vjp(apply, module.params(row.weights), row.sources[k])
            return transpose(self._unpacked(in_x, summand.shape))

        alone, together = (functools.partial(of, single) for single in (True, False))
        found = lax.cond(row.sources.fan_in == 1, alone, together, k, in_x) if singles else together(k, in_x)
        in_params, in_source = found
        return in_source, table_row(in_params, row.weights)

    def _of_several(self, row: _Row, k: Array, in_x: Array) -> tuple[Gradient, Gradient]:
        return self._unpacked(in_x, self._stack_shape)[k], row.weights.zeros()

    def _of_single(self, row: _Row, k: Array, in_x: Array) -> tuple[Gradient, Gradient]:
        return self._unpacked(in_x, self._source_shape), row.weights.zeros()

    @functools.cached_property
    def _kinds(self) -> list[tuple[RowModule, Reading]]:
        return [(module, module.reading(self._images)) for module in self.modules]

    @property
    def _images(self) -> int:
        return self.buffers[self.group.target].shape[1]

    @property
    def _source_shape(self) -> tuple[int, ...]:
        return self.buffers[self.group.source].shape[1:]

    @property
    def _stack_shape(self) -> tuple[int, ...]:
        return self.group.arity, *self._source_shape

    @functools.cached_property
    def _shapes(self) -> set[tuple[int, ...]]:
        """Those of what `_after_sum` takes gradients in.

        Gradients of different shapes go through vectors; others do not, since XLA computes a fusion that ends in a
        vector element by element.
        """
        return {how.total or (self._stack_shape if how.several else self._source_shape) for _, how in self._kinds}

    def _packed(self, x: Gradient) -> Gradient:
        return x if len(self._shapes) == 1 else shaped(x, (max(map(math.prod, self._shapes)),))

    def _unpacked(self, x: Gradient, shape: tuple[int, ...]) -> Gradient:
        return x if len(self._shapes) == 1 else x[: math.prod(shape)].reshape(shape)


def _gradient(maps: Gradient, reached: Bool[Array, " rows"], row: Any) -> Gradient:
    """What readers have sent to a map so far."""
    return jnp.where(reached[row], map_of(maps, row), 0)
