"""In which order the rows of a group run, and which of them together.

One at a time, they run genome by genome: what a row reads was written shortly before and still lies in the cache.
Several at a time, they run whatever genome and slot they are of, as soon as their sources are there: graphs of
operations are batched so on the fly in [1]. Here the sizes of chunks are few, since each is compiled, and a change of
size costs a decision of the host: a round goes through the sizes from the largest to the smallest, and takes of each
what is ready, chunks of the smallest only of what would gain little by waiting.

[1] Neubig, Goldberg, Dyer, "On-the-fly operation batching in dynamic computation graphs", NeurIPS 2017, section 3.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

_PADDING = 0.3  # of a chunk, at most, where a smaller size could be taken


class RowTable(NamedTuple):
    """Rows of one group.

    Attributes:
        number: of each row, among those of the target buffer.
        genome: the first that has it.
        kind: as its position in the group.
        slot: of its kind.
        fan_in: number of its sources.
        sources: numbers of the rows that are read at each of the slot's possible inputs, or `ABSENT`.
    """

    number: Int[np.ndarray, " rows"]
    genome: Int[np.ndarray, " rows"]
    kind: Int[np.ndarray, " rows"]
    slot: Int[np.ndarray, " rows"]
    fan_in: Int[np.ndarray, " rows"]
    sources: Int[np.ndarray, "rows inputs"]

    @classmethod
    def none(cls, inputs: int) -> "RowTable":
        """No rows, of so many possible inputs."""
        nothing = np.zeros(0, int)
        return cls(nothing, nothing, nothing, nothing, nothing, np.zeros((0, inputs), int))

    def take(self, order: Int[np.ndarray, " rows"]) -> "RowTable":
        """The rows in another order."""
        return RowTable(*(column[order] for column in self))


class Schedule(NamedTuple):
    """Rows in the order in which they run.

    Attributes:
        rows: in that order.
        begins: first row of each chunk, and behind the last one the number of rows.
        runs: first chunk of each run, and behind the last one the number of chunks; see `rwejax.networks.program.Rows`.
    """

    rows: RowTable
    begins: Int[np.ndarray, " chunks+1"]
    runs: Int[np.ndarray, " runs+1"]

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self.begins) - 1

    @property
    def chunk_of_row(self) -> Int[np.ndarray, " rows"]:
        """The chunk of each row."""
        return np.repeat(np.arange(self.chunks), np.diff(self.begins))


def one_by_one(rows: RowTable) -> Schedule:
    """Each row a chunk of its own, genome by genome.

    Args:
        rows: in the order in which they were added, in which they depend on each other.
    """
    count = len(rows.number)
    # A genome needs no row that a later genome is the first to have.
    order = np.argsort(rows.genome, kind="stable")
    return Schedule(rows.take(order), np.arange(count + 1), np.array([0, count]))


def together(
    rows: RowTable, sizes: Sequence[int], reads_itself: bool, one_slot: Bool[np.ndarray, " kinds"]
) -> Schedule:
    """Rows of one kind and fan-in in chunks of a few sizes.

    Args:
        rows: in the order in which they were added, in which they depend on each other.
        sizes: rows of a chunk, descending.
        reads_itself: whether the group reads the buffer that it writes.
        one_slot: of each kind whether rows of different slots cannot run together.
    """
    agenda = _Agenda(rows, reads_itself, one_slot)
    *larger, smallest = sizes
    order: list[int] = []
    begins, runs = [0], [0]

    def run(take: Callable[[], list[int]]) -> None:
        while chosen := take():
            order.extend(chosen)
            begins.append(len(order))
        runs.append(len(begins) - 1)

    def small(begun: int) -> list[int]:
        # What could fill a larger chunk later waits, unless nothing has run in this round.
        return agenda.last(smallest) or (agenda.lowest(smallest) if len(order) == begun else [])

    if not larger:
        run(lambda: agenda.full(smallest) or agenda.last(smallest) or agenda.lowest(smallest))
    while len(order) < len(rows.number):
        begun = len(order)
        for size in larger:
            run(partial(agenda.full, size))
        run(partial(small, begun))
    return Schedule(rows.take(np.array(order, int)), np.array(begins), np.array(runs))


class _Agenda:
    """What is ready to run, by what can run together.

    A row's *level* is one more than the highest of its sources in the group.
    """

    def __init__(self, rows: RowTable, reads_itself: bool, one_slot: Bool[np.ndarray, " kinds"]) -> None:
        count = len(rows.number)
        keys = np.column_stack([rows.kind, rows.fan_in, np.where(one_slot[rows.kind], rows.slot, 0)])
        distinct, key = np.unique(keys, axis=0, return_inverse=True)
        reader, source = _reads(rows) if reads_itself else np.zeros((2, 0), int)
        level = _levels(count, reader, source)
        self._key, self._level = key.ravel().tolist(), level.tolist()
        self._missing = np.bincount(reader, minlength=count).tolist()
        order = np.argsort(source, kind="stable")
        ends = np.searchsorted(source[order], np.arange(1, count))
        self._readers = [each.tolist() for each in np.split(reader[order], ends)]
        # Of each key the rows that are ready, and how many of each level are not yet.
        self._ready: list[list[int]] = [[] for _ in distinct]
        waiting = np.zeros((len(distinct), level.max(initial=0) + 2), int)
        np.add.at(waiting, (key.ravel(), level), 1)
        waiting[:, -1] = 1  # none is higher
        self._waiting, self._lowest = waiting.tolist(), [0] * len(distinct)
        for row, missing in enumerate(self._missing):
            if not missing:
                self._add(row)

    def full(self, size: int) -> list[int]:
        """The lowest rows that make a chunk of that size with little padding; none if there are not enough."""
        enough = size * (1 - _PADDING)
        return self._pop([key for key, rows in enumerate(self._ready) if len(rows) >= enough], size)

    def last(self, size: int) -> list[int]:
        """Rows for a chunk of that size with which no more can run up to their level; none if there are no such."""
        ready = [key for key, rows in enumerate(self._ready) if rows]
        highest = {key: max(self._level[row] for row in self._ready[key]) for key in ready}
        return self._pop([key for key in ready if self._lowest[key] > highest[key]], size)

    def lowest(self, size: int) -> list[int]:
        """The lowest rows for a chunk of that size; none if none are ready."""
        return self._pop([key for key, rows in enumerate(self._ready) if rows], size)

    def _pop(self, keys: list[int], size: int) -> list[int]:
        if not keys:
            return []
        key = min(keys, key=lambda key: self._level[self._ready[key][0]])
        chosen, self._ready[key] = self._ready[key][:size], self._ready[key][size:]
        for row in chosen:
            for reader in self._readers[row]:
                self._missing[reader] -= 1
                if not self._missing[reader]:
                    self._add(reader)
        return chosen

    def _add(self, row: int) -> None:
        key, level = self._key[row], self._level[row]
        self._ready[key].append(row)
        waiting = self._waiting[key]
        waiting[level] -= 1
        while not waiting[self._lowest[key]]:
            self._lowest[key] += 1


def _reads(rows: RowTable) -> tuple[Int[np.ndarray, " reads"], Int[np.ndarray, " reads"]]:
    """Pairs of rows of one table: one that reads, and one that is read; those of other groups are left out."""
    place = np.full(max(rows.number.max(initial=-1), rows.sources.max(initial=-1)) + 1, -1)
    place[rows.number] = np.arange(len(rows.number))
    reader, column = np.nonzero(rows.sources >= 0)
    source = place[rows.sources[reader, column]]
    return reader[source >= 0], source[source >= 0]


def _levels(
    count: int, reader: Int[np.ndarray, " reads"], source: Int[np.ndarray, " reads"]
) -> Int[np.ndarray, " rows"]:
    level = np.zeros(count, int)
    while True:
        higher = level.copy()
        np.maximum.at(higher, reader, level[source] + 1)
        if (higher == level).all():
            return level
        level = higher
