"""A population as data: rows (kind, slot, sources), computed once each.

A *kind* is an operation, a Flax module; its *slots* are the places in the space where it can stand, and each owns one
random kernel, the same for every genome. A *row* is a slot of a kind applied to source rows, so its feature map depends
on the part of the genome above it and on nothing else: rows that are equal need one computation, and what a genome
does not use never becomes a row. Kinds whose maps have one shape form a *group*; a group reads rows of one buffer and
writes rows to another, or to the same.

Lowering runs on the host, vectorised over genomes; what it returns is a pytree of arrays whose shapes depend on the
capacity alone, so that one compilation serves every population.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import numpy as np
from flax import struct
from jaxtyping import Array, Int

ABSENT = -1

Table = Array | np.ndarray  # made by numpy on the host, traced by JAX


@dataclass(frozen=True)
class Kind:
    """An operation, and the number of slots where it can stand.

    Attributes:
        module: a Flax module called as `module(sources, norm)`; see `rwejax.networks.slots`.
        slots: number of slots, each with its own kernel.
        branch: whether it is one of the branches that a cell adds up, of which drop-path leaves some out in training.
    """

    module: nn.Module
    slots: int = 1
    branch: bool = False


@dataclass(frozen=True)
class Group:
    """Kinds of rows that read one buffer and write one buffer.

    Attributes:
        name: the key of the group's kernels.
        kinds: what its rows can be, by name.
        rows: the most rows that one genome has in the group.
        arity: the most sources a row can have.
        source: name of the buffer that is read.
        target: name of the buffer that is written.
        sharing: distinct rows expected for each row of a genome, the measure of the buffer's size; too low a value
            costs a split of the population, too high a value costs memory. Rows that depend on no gene have 0.
    """

    name: str
    kinds: tuple[tuple[str, Kind], ...]
    rows: int
    arity: int
    source: str
    target: str
    sharing: float = 1.0

    def capacity(self, genomes: int) -> int:
        """Rows to make room for, so that at least one genome always fits."""
        return max(self.rows, round(self.rows * genomes * self.sharing))


@dataclass(frozen=True)
class Network:
    """A search space as groups over buffers.

    Attributes:
        groups: in the order in which they run.
        buffers: height, width and channels of the rows of each buffer; a buffer of pooled features has channels alone.
            `images`, which is given, and `features`, which is the result, belong to it.
    """

    groups: tuple[Group, ...]
    buffers: dict[str, tuple[int, ...]]

    def __hash__(self) -> int:
        return hash((self.groups, tuple(self.buffers.items())))


@struct.dataclass
class Rows:
    """The rows of one group, in chunks of one kind, one slot and one number of sources each.

    Attributes:
        first: place of the group's first row in its target buffer.
        chunks: number of chunks.
        kind: kind of each chunk, as its position in the group.
        slot: slot of each chunk.
        fan_in: number of sources of each row of the chunk.
        begin: first row of each chunk, counted inside the group.
        sources: rows of the source buffer that each row reads; its first `fan_in` entries count.
        blocks: position among the slot's possible inputs of each source.
    """

    first: Int[Table, ""]
    chunks: Int[Table, ""]
    kind: Int[Table, " chunks"]
    slot: Int[Table, " chunks"]
    fan_in: Int[Table, " chunks"]
    begin: Int[Table, " chunks"]
    sources: Int[Table, "rows arity"]
    blocks: Int[Table, "rows arity"]


@struct.dataclass
class Program:
    """What the executor runs: the rows of each group, and how many rows of features come out."""

    rows: dict[str, Rows]
    features: Int[Table, ""]


class CapacityError(Exception):
    """The rows of a population do not fit: split it."""


class Builder:
    """Collects the rows of a population, group by group and slot by slot.

    Args:
        network: the groups.
        genomes: the number of genomes whose rows must fit.
        chunk: rows that the executor computes at once.
    """

    def __init__(self, network: Network, genomes: int, chunk: int) -> None:
        self._groups = {group.name: group for group in network.groups}
        self._genomes, self._chunk = genomes, chunk
        self._filled = dict.fromkeys(network.buffers, 0)
        self._first = dict.fromkeys(self._groups, 0)
        self._pieces: dict[str, list[_Piece]] = {name: [] for name in self._groups}

    def add(
        self, group: str, kind: str | Int[np.ndarray, " n"], slot: int, *sources: Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """Add one row a genome; equal rows become one.

        Args:
            group: name of the group.
            kind: name of the kind, or for each genome the kind's position in the group.
            slot: the slot. Rows of a group are added in the order in which they depend on each other.
            sources: at each of the slot's possible inputs, for each genome the row that is read, or `ABSENT`. A genome
                without any source gets no row.

        Returns:
            For each genome the place of its row in the target buffer, or `ABSENT`.

        Raises:
            CapacityError: the group is full.
        """
        where = self._groups[group]
        if isinstance(kind, str):
            kind = np.full(len(sources[0]), [name for name, _ in where.kinds].index(kind))
        if not self._pieces[group]:
            self._first[group] = self._filled[where.target]
        columns = np.stack(sources, 1)
        present = (columns != ABSENT).any(1)
        fan_in = (columns != ABSENT).sum(1)
        # Rows of one kind and fan-in lie next to each other, so that they can be computed together.
        keys = np.column_stack([kind, fan_in, columns])[present]
        distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
        places = np.full(len(columns), ABSENT)
        places[present] = self._filled[where.target] + inverse.ravel()
        starts = np.flatnonzero(np.diff(distinct[:, :2], axis=0, prepend=-1).any(1))
        for piece in np.split(distinct, starts[1:]) if len(distinct) else []:
            self._pieces[group].append(_Piece(int(piece[0, 0]), slot, int(piece[0, 1]), piece[:, 2:]))
        self._filled[where.target] += len(distinct)
        if self._filled[where.target] - self._first[group] > where.capacity(self._genomes):
            raise CapacityError(group)
        return places

    def add_sum(self, group: str, *terms: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Add one row of the kind `sum` a genome; a sum of one term is that term's own row, of none `ABSENT`."""
        single = (np.stack(terms) != ABSENT).sum(0) < 2
        rows = self.add(group, "sum", 0, *(np.where(single, ABSENT, term) for term in terms))
        return np.where(single, np.max(terms, 0), rows)

    def build(self) -> Program:
        """The program of all rows that were added."""
        rows = {name: self._rows(group) for name, group in self._groups.items()}
        return Program(rows, np.array(self._filled["features"], np.int32))

    def _rows(self, group: Group) -> Rows:
        capacity = group.capacity(self._genomes)
        kinds, slots, fan_ins, begins = np.zeros((4, capacity), np.int32)
        sources, blocks = np.zeros((2, capacity + self._chunk, group.arity), np.int32)
        chunk = begin = 0
        for piece in self._pieces[group.name]:
            end = begin + len(piece.sources)
            starts = np.arange(begin, end, self._chunk)
            chunks = slice(chunk, chunk + len(starts))
            kinds[chunks], slots[chunks], fan_ins[chunks], begins[chunks] = piece.kind, piece.slot, piece.fan_in, starts
            used = np.nonzero(piece.sources != ABSENT)[1].reshape(-1, piece.fan_in)
            blocks[begin:end, : piece.fan_in] = used
            sources[begin:end, : piece.fan_in] = np.take_along_axis(piece.sources, used, 1)
            chunk, begin = chunks.stop, end
        first, count = np.array([self._first[group.name], chunk], np.int32)
        return Rows(first, count, kinds, slots, fan_ins, begins, sources, blocks)


class _Piece(NamedTuple):
    """Rows that differ in their sources alone."""

    kind: int
    slot: int
    fan_in: int
    sources: Int[np.ndarray, "rows inputs"]
