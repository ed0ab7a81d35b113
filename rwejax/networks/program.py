"""A population as data: rows (slot, sources), computed once each.

A *slot* is a place in the space that owns one random kernel, the same for every genome. A *row* is a slot applied to
source rows, so its feature map depends on the part of the genome above it and on nothing else: rows that are equal need
one computation, and dropped nodes never become rows. Slots that share a module form a *group*; a group reads rows of
one buffer and writes rows to another, or to the same.

Lowering runs on the host, vectorised over genomes; what it returns is a pytree of arrays whose shapes depend on the
capacity alone, so that one compilation serves every population.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import flax.linen as nn
import numpy as np
from flax import struct
from jaxtyping import Array, Int

ABSENT = -1

Table = Array | np.ndarray  # made by numpy on the host, traced by JAX


@dataclass(frozen=True)
class Group:
    """Slots that share a module and differ in their kernels.

    Attributes:
        name: the key of the group's kernels.
        module: a Flax module called as `module(read, blocks, fan_in, calibrate)`; see `rwejax.networks.slots`.
        slots: number of slots.
        arity: the most sources a row can have.
        source: name of the buffer that is read.
        target: name of the buffer that is written.
        sharing: distinct rows expected for each (genome, slot), the measure of the buffer's size; too low a value costs
            a split of the population, too high a value costs memory.
    """

    name: str
    module: nn.Module
    slots: int
    arity: int
    source: str
    target: str
    sharing: float = 1.0

    def capacity(self, genomes: int) -> int:
        """Rows to make room for, so that at least one genome always fits."""
        return max(self.slots, round(self.slots * genomes * self.sharing))


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
    """The rows of one group, in chunks of one slot and one number of sources each.

    Attributes:
        first: place of the group's first row in its target buffer.
        chunks: number of chunks.
        slot: slot of each chunk.
        fan_in: number of sources of each row of the chunk.
        begin: first row of each chunk, counted inside the group.
        sources: rows of the source buffer that each row reads; its first `fan_in` entries count.
        blocks: position among the slot's possible inputs of each source.
    """

    first: Int[Table, ""]
    chunks: Int[Table, ""]
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
        self._pieces: dict[str, list[tuple[int, int, np.ndarray]]] = {name: [] for name in self._groups}

    def add(self, name: str, slot: int, sources: Int[np.ndarray, "n arity"]) -> Int[np.ndarray, " n"]:
        """Add the rows of one slot; equal rows become one.

        Args:
            name: the group.
            slot: the slot; slots of a group are added in the order in which they depend on each other.
            sources: for each genome the row at each of the slot's possible inputs, or `ABSENT`. A genome without any
                source gets no row.

        Returns:
            For each genome the place of its row in the target buffer, or `ABSENT`.

        Raises:
            CapacityError: the group is full.
        """
        target = self._groups[name].target
        if not self._pieces[name]:
            self._first[name] = self._filled[target]
        present = (sources != ABSENT).any(1)
        distinct, inverse = np.unique(sources[present], axis=0, return_inverse=True)
        fan_in = (distinct != ABSENT).sum(1)
        order = np.argsort(fan_in, kind="stable")
        distinct, fan_in = distinct[order], fan_in[order]
        places = np.full(len(sources), ABSENT)
        places[present] = self._filled[target] + np.argsort(order)[inverse.ravel()]
        for count in np.unique(fan_in):
            self._pieces[name].append((slot, int(count), distinct[fan_in == count]))
        self._filled[target] += len(distinct)
        if self._filled[target] - self._first[name] > self._groups[name].capacity(self._genomes):
            raise CapacityError(name)
        return places

    def build(self) -> Program:
        """The program of all rows that were added."""
        rows = {name: self._rows(group) for name, group in self._groups.items()}
        return Program(rows, np.array(self._filled["features"], np.int32))

    def _rows(self, group: Group) -> Rows:
        capacity = group.capacity(self._genomes)
        slots, fan_ins, begins = np.zeros((3, capacity), np.int32)
        sources, blocks = np.zeros((2, capacity + self._chunk, group.arity), np.int32)
        chunk = begin = 0
        for slot, fan_in, distinct in self._pieces[group.name]:
            end = begin + len(distinct)
            starts = np.arange(begin, end, self._chunk)
            chunks = slice(chunk, chunk + len(starts))
            slots[chunks], fan_ins[chunks], begins[chunks] = slot, fan_in, starts
            blocks[begin:end, :fan_in] = np.nonzero(distinct != ABSENT)[1].reshape(-1, fan_in)
            sources[begin:end, :fan_in] = np.take_along_axis(distinct, blocks[begin:end, :fan_in], 1)
            chunk, begin = chunks.stop, end
        return Rows(
            np.array(self._first[group.name], np.int32),
            np.array(chunk, np.int32),
            slots,
            fan_ins,
            begins,
            sources,
            blocks,
        )


def stack_sources(sources: Sequence[np.ndarray], arity: int) -> Int[np.ndarray, "n arity"]:
    """Sources as columns, filled up with `ABSENT` to the group's arity."""
    absent = np.full_like(sources[0], ABSENT)
    return np.stack([*sources, *[absent] * (arity - len(sources))], 1)
