"""The module of a row, called with its parameters as a row of a table, and what a row reads."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, Float, Int

from rwejax.networks.kernels import row_variables
from rwejax.networks.modules import Norm, Sources, Unused
from rwejax.networks.passes import Kept
from rwejax.networks.program import Group, Kind, Network, Rows
from rwejax.networks.row_tables import TableRow, unravel
from rwejax.networks.summands import Found, Reading, Recorded, reading

Tree = Any


@dataclass(frozen=True)
class RowModule:
    """What the rows of a kind compute.

    Attributes:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
        norm: what its normalisations do.
    """

    network: Network
    group: Group
    kind: Kind
    norm: Norm

    @property
    def _trained(self) -> bool:
        return self.norm in (Norm.TRAIN, Norm.RUNNING)

    @property
    def shapes(self) -> Tree:
        """Those of its variables, by collection."""
        return row_variables(self.network, self.group, self.kind, Norm.TRAIN if self._trained else Norm.BATCH)

    def params(self, row: TableRow) -> Tree:
        """The parameters of a row.

        Args:
            row: of the table of parameters.
        """
        return unravel(self.shapes.get("params", {}), row)

    def reading(self, images: int) -> Reading:
        """How it reads.

        Args:
            images: of a batch.
        """
        return reading(self.network, self.group, self.kind, images)

    def kept(self, of_group: Kept, r: Any, images: int) -> Tree:
        """What a pass forwards has kept of a row, by collection.

        Args:
            of_group: what it has kept of all rows.
            r: number of the row.
            images: of the batch.
        """
        leaves, tree = jax.tree.flatten(self.shapes.get("kept", {}))
        found = []
        for table, leaf in zip(of_group.outputs, leaves, strict=False):  # other kinds may have more convolutions
            row, shape = map_of(table, r), (images, *leaf.shape[1:])
            found.append(row if row.shape == shape else row[: math.prod(shape)].reshape(shape))
        moments = unravel(self.shapes.get("moments", {}), TableRow(of_group.moments, r))
        return {"kept": jax.tree.unflatten(tree, found), "moments": moments}

    def __call__(
        self,
        sources: Sources,
        params: Tree,
        seen: tuple[str, ...] = (),
        *,
        shifts: Tree = None,
        statistics: TableRow | None = None,
        kept: Tree = None,
    ) -> tuple[Array, Tree]:
        """A row's map, and what its module leaves: running statistics, and what it shows in some collections.

        Args:
            sources: what it reads.
            params: see `params`.
            seen: the collections.
            shifts: what is added to the outputs of convolutions; None: nothing.
            statistics: the row's, of the table of running statistics.
            kept: what is then not computed again; see `kept`.
        """
        variables = {"params": params}
        if shifts:
            variables["shifts"] = shifts
        if statistics is not None and self._trained:
            variables["batch_stats"] = unravel(self.shapes.get("batch_stats", {}), statistics)
        variables |= kept or {}
        module = Unused() if self.kind.unused else self.kind.module
        y, changed = module.apply(variables, sources, self.norm, mutable=["batch_stats", *seen])
        return y, {"batch_stats": variables.get("batch_stats", {}), **changed}

    def total(self, sources: Recorded, params: Tree) -> Array:
        """What it makes of its sources, before all else.

        Args:
            sources: of which it makes a sum.
            params: see `params`.
        """
        with contextlib.suppress(Found):
            self(sources, params)
        return sources.sums[0]


def sources_of(buffer: Float[Array, "rows ..."], rows: Rows, r: Any) -> Sources:
    """What a row reads.

    Args:
        buffer: where it reads.
        rows: of the program.
        r: number of the row.
    """
    return Sources(lambda k: map_of(buffer, rows.sources[r, k]), rows.blocks[r], rows.fan_in[r])


def map_of(buffer: Float[Array, "rows ..."], row: Any) -> Float[Array, "..."]:
    """The map of a row.

    Args:
        buffer: where it lies.
        row: its place there.
    """
    return lax.dynamic_index_in_dim(buffer, row, 0, keepdims=False)


def by_kind(kind: Int[Array, ""], branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """What the branch of a row's kind returns; where there is one branch alone, nothing is asked.

    Args:
        kind: of the row.
        branches: of all kinds.
        operands: that the branch is called with.
    """
    return lax.switch(kind, branches, *operands) if len(branches) > 1 else branches[0](*operands)
