"""A population as data: rows (kind, slot, sources), computed once each.

A *kind* is an operation, a Flax module; its *slots* are the places in the space where it can stand, and each owns one
random kernel, the same for every genome. A *row* is a slot of a kind applied to source rows, so its feature map depends
on the part of the genome above it and on nothing else: rows that are equal need one computation, and what a genome
does not use never becomes a row. Kinds whose maps have one shape form a *group*; a group reads rows of one buffer and
writes rows to another, or to the same.

Lowering runs on the host, vectorised over genomes; what it returns is a pytree of arrays whose shapes depend on the
capacity alone, so that one compilation serves every population.
"""

from collections.abc import Mapping
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
        module: a Flax module called as `module(sources, norm)`; see `rwejax.networks.modules`.
        slots: number of slots, each with its own kernel.
        branch: whether it is one of the branches that a cell adds up, of which drop-path leaves some out in training.
        beside: modules of the same variables, whose results are concatenated to its own.
    """

    module: nn.Module
    slots: int = 1
    branch: bool = False
    beside: tuple[nn.Module, ...] = ()


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
    """

    name: str
    kinds: tuple[tuple[str, Kind], ...]
    rows: int
    arity: int
    source: str
    target: str


@dataclass(frozen=True)
class Network:
    """A search space as groups over buffers.

    Attributes:
        groups: in the order in which they run.
        buffers: height, width and channels of the rows of each buffer; a buffer of pooled features has channels alone.
            `images`, which is given, and `features`, which is the result, belong to it; and `codes` where it is kept
            which ReLUs are on, see `rwejax.networks.codes`.
    """

    groups: tuple[Group, ...]
    buffers: dict[str, tuple[int, ...]]

    def __hash__(self) -> int:
        return hash((self.groups, tuple(self.buffers.items())))


@struct.dataclass
class Rows:
    """The rows of one group, in chunks of one kind, one slot and one number of sources each.

    Attributes:
        chunks: number of chunks.
        kind: kind of each chunk, as its position in the group.
        slot: slot of each chunk.
        fan_in: number of sources of each row of the chunk.
        begin: first row of each chunk, counted inside the group.
        buffer_slot: where in the target buffer the map of the chunk's first row goes; those of its other rows follow.
        sources: slots in the source buffer of the maps that each row reads; its first `fan_in` entries count.
        blocks: position among the slot's possible inputs of each source.
    """

    chunks: Int[Table, ""]
    kind: Int[Table, " chunks"]
    slot: Int[Table, " chunks"]
    fan_in: Int[Table, " chunks"]
    begin: Int[Table, " chunks"]
    buffer_slot: Int[Table, " chunks"]
    sources: Int[Table, "rows arity"]
    blocks: Int[Table, "rows arity"]


@struct.dataclass
class Codes:
    """Where the codes of ReLUs are kept, and whose they are.

    Attributes:
        begin: for each row of a group the first of its codes, by group.
        of_features: for each row of features and each size of ReLU the codes of its network.
        counts: how many these are.
    """

    begin: dict[str, Int[Table, " rows"]]
    of_features: Int[Table, "genomes sizes most"]
    counts: Int[Table, "genomes sizes"]


@struct.dataclass
class Program:
    """What the executor runs: the rows of each group, how many rows of features come out, and where codes are kept."""

    rows: dict[str, Rows]
    features: Int[Table, ""]
    codes: Codes | None = None


class CapacityError(Exception):
    """The rows of a population do not fit, or their maps: split it."""


class Builder:
    """Collects the rows of a population, group by group and slot by slot, and finds buffer slots for their maps.

    Rows computed one at a time run genome by genome, so that what a row reads was written shortly before and still lies
    in the cache; rows computed several at a time run slot by slot. The slot of a map that nothing reads any more is
    given to a later one, the last that became free first.

    Args:
        network: the groups.
        genomes: the number of genomes whose rows must fit.
        chunk: rows that the executor computes at once.
        buffer_sizes: slots of each buffer. None: every map keeps a slot of its own, in the order in which the
            rows were added, so that the program can also be run backwards.

    Attributes:
        used: the slots that `build` gave to maps in each buffer where maps follow one another.
        of_genomes: for each call of `add` the group, and for each genome its row, as `add` returned it.
    """

    def __init__(
        self, network: Network, genomes: int, chunk: int, buffer_sizes: Mapping[str, float] | None = None
    ) -> None:
        self._groups = {group.name: group for group in network.groups}
        self._genomes, self._chunk, self._buffer_sizes = genomes, chunk, buffer_sizes
        self._added = {group.name: [_Rows.none(group.arity)] for group in network.groups}
        self._counts = dict.fromkeys(network.buffers, 0) | {"images": 1}
        self.used: dict[str, int] = {}
        self.of_genomes: list[tuple[str, Int[np.ndarray, " n"]]] = []

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
            For each genome its row, counted among those of the target buffer, or `ABSENT`.

        Raises:
            CapacityError: the group is full.
        """
        where, added = self._groups[group], self._added[group]
        if isinstance(kind, str):
            kind = np.full(len(sources[0]), [name for name, _ in where.kinds].index(kind))
        columns = np.full((len(kind), where.arity), ABSENT)
        columns[:, : len(sources)] = np.stack(sources, 1)
        fan_in = (columns != ABSENT).sum(1)
        present = np.flatnonzero(fan_in)
        # Rows of one kind and fan-in lie next to each other, so that they can be computed together.
        keys = np.column_stack([kind, fan_in, columns])[present]
        # Owners are the genomes with a row's first occurrence: the order of `_in_order` relies on that.
        distinct, owners, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        numbers = self._counts[where.target] + np.arange(len(distinct))
        self._counts[where.target] += len(distinct)
        # Ranks begin anew with each kind and fan-in, so that no chunk, which starts at multiples of its size, has two.
        starts = np.diff(distinct[:, :2], axis=0, prepend=-1).any(1)
        added.append(
            _Rows(
                number=numbers,
                genome=present[owners],
                rank=np.arange(len(distinct)) - np.flatnonzero(starts)[np.cumsum(starts) - 1],
                kind=distinct[:, 0],
                slot=np.full(len(distinct), slot),
                fan_in=distinct[:, 1],
                sources=distinct[:, 2:],
            )
        )
        if sum(len(each.number) for each in added) > where.rows * self._genomes:
            raise CapacityError(group)
        rows = np.full(len(columns), ABSENT)
        rows[present] = numbers[inverse.ravel()]
        self.of_genomes.append((group, rows))
        return rows

    def add_sum(self, group: str, *terms: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Add one row of the kind `sum` a genome; a sum of one term is that term's own row, of none `ABSENT`.

        Args:
            group: name of a group that has the kind `sum`.
            terms: for each genome the row of each term, counted in the group's buffer, or `ABSENT`.

        Raises:
            CapacityError: the group is full.
        """
        single = (np.stack(terms) != ABSENT).sum(0) < 2
        rows = self.add(group, "sum", 0, *(np.where(single, ABSENT, term) for term in terms))
        return np.where(single, np.max(terms, 0), rows)

    def build(self) -> Program:
        """The program of all rows that were added.

        Raises:
            CapacityError: the maps do not fit.
        """
        rows = self.in_order()
        slots = {name: np.arange(count) for name, count in self._counts.items()}
        if self._buffer_sizes is not None:
            slots |= self._share(self._buffer_sizes, rows)
        tables = {
            name: self._table(group, rows[name], slots[group.source], slots[group.target])
            for name, group in self._groups.items()
        }
        return Program(tables, np.array(self._counts["features"], np.int32))

    def in_order(self) -> dict[str, "_Rows"]:
        """The rows of each group in the order in which they run."""
        return {name: self._in_order(group) for name, group in self._groups.items()}

    def _in_order(self, group: Group) -> "_Rows":
        columns = zip(*self._added[group.name], strict=True)
        rows = _Rows(*(np.concatenate(column) for column in columns))
        # A genome needs no row that a later genome is the first to have.
        return rows.take(np.argsort(rows.genome, kind="stable")) if self._chunk == 1 else rows

    def _share(self, limits: Mapping[str, float], rows: Mapping[str, "_Rows"]) -> dict[str, Int[np.ndarray, " rows"]]:
        """The buffer slot of each row of all buffers but the images and the features, which nothing replaces."""
        # The chunk that reads a row last, all groups counted through; what nothing reads keeps its slot.
        last = {name: np.zeros(count, int) for name, count in self._counts.items()}
        first, count = {}, 0
        for name, group in self._groups.items():
            chunks, (row, column) = rows[name].chunks(self._chunk), np.nonzero(rows[name].sources != ABSENT)
            # Of several readers the last one counts: rows ascend, and NumPy keeps what it assigns last.
            last[group.source][rows[name].sources[row, column]] = count + np.searchsorted(chunks, row, "right") - 1
            first[name] = count
            count += len(chunks)
        free: dict[str, list[int]] = {name: [] for name in self._counts}
        ending: list[list[int]] = [[] for _ in range(count)]  # slots that a chunk is the last to read
        slots = {group.target: np.zeros(self._counts[group.target], int) for group in self._groups.values()}
        del slots["features"]
        self.used = dict.fromkeys(slots, 0)
        for name, group in self._groups.items():
            chunks, number, target = rows[name].chunks(self._chunk), rows[name].number, group.target
            if target not in slots or not len(chunks):
                continue
            found = []
            # The maps of a chunk lie side by side, and are given up together.
            ends = np.maximum.reduceat(last[target][number], chunks).tolist()
            for chunk, end in enumerate(ends, first[name]):
                # Before its own slot is found: a chunk may write over what it reads, as it writes when it has read.
                free[group.source] += ending[chunk]
                if not free[target]:
                    free[target].append(self.used[target])
                    self.used[target] += self._chunk
                found.append(free[target].pop())
                ending[end].append(found[-1])
            if self.used[target] > limits[target]:
                raise CapacityError(target)
            of_row = np.searchsorted(chunks, np.arange(len(number)), "right") - 1
            slots[target][number] = np.array(found)[of_row] + np.arange(len(number)) - chunks[of_row]
        return slots

    def _table(
        self, group: Group, rows: "_Rows", read: Int[np.ndarray, " rows"], written: Int[np.ndarray, " rows"]
    ) -> Rows:
        capacity, count = group.rows * self._genomes, len(rows.number)
        kinds, slots, fan_ins, begins, buffer_slots = np.zeros((5, capacity), np.int32)
        sources, blocks = np.zeros((2, capacity + self._chunk, group.arity), np.int32)
        chunks = rows.chunks(self._chunk)
        columns = rows.kind, rows.slot, rows.fan_in, np.arange(count), written[rows.number]
        for table, column in zip((kinds, slots, fan_ins, begins, buffer_slots), columns, strict=True):
            table[: len(chunks)] = column[chunks]
        there = np.arange(group.arity) < rows.fan_in[:, None]
        present = np.nonzero(rows.sources != ABSENT)
        # Both masks run row by row and have `fan_in` entries in each: the inputs that are there move to the left.
        sources[:count][there], blocks[:count][there] = read[rows.sources[present]], present[1]
        return Rows(np.array(len(chunks), np.int32), kinds, slots, fan_ins, begins, buffer_slots, sources, blocks)


class _Rows(NamedTuple):
    """Rows of one group.

    Attributes:
        number: of each row, among those of the target buffer.
        genome: the first that has it.
        rank: among the rows that could be computed together.
        kind, slot, fan_in: as in `Rows`.
        sources: numbers of the rows that are read at each of the slot's possible inputs, or `ABSENT`.
    """

    number: Int[np.ndarray, " rows"]
    genome: Int[np.ndarray, " rows"]
    rank: Int[np.ndarray, " rows"]
    kind: Int[np.ndarray, " rows"]
    slot: Int[np.ndarray, " rows"]
    fan_in: Int[np.ndarray, " rows"]
    sources: Int[np.ndarray, "rows inputs"]

    @classmethod
    def none(cls, arity: int) -> "_Rows":
        """No rows."""
        nothing = np.zeros(0, int)
        return cls(nothing, nothing, nothing, nothing, nothing, nothing, np.zeros((0, arity), int))

    def take(self, order: Int[np.ndarray, " rows"]) -> "_Rows":
        """The rows in another order."""
        return _Rows(*(column[order] for column in self))

    def chunks(self, size: int) -> Int[np.ndarray, " chunks"]:
        """The first row of each chunk of so many."""
        return np.flatnonzero(self.rank % size == 0)
