"""From genomes to a program: rows are collected, put in order, and given buffer slots for their maps."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int

from rwejax.networks.kernels import shares_kernel
from rwejax.networks.program import ABSENT, CapacityError, Group, Network, Program, Rows
from rwejax.networks.schedule import RowTable, Schedule, one_by_one, together


class Builder:
    """Collects the rows of a population, group by group and slot by slot, and finds buffer slots for their maps.

    The slot of a map that nothing reads any more is given to a later one, the last that became free first.

    Args:
        network: the groups.
        genomes: the number of genomes whose rows must fit.
        chunk_sizes: rows that the executor computes at once, descending; see `rwejax.networks.schedule`.
        buffer_sizes: slots of each buffer. None: every map keeps a slot of its own, in the order in which the
            rows were added, so that the program can also be run backwards.

    Attributes:
        used: the slots that `build` gave to maps in each buffer where maps follow one another.
        of_genomes: for each call of `add` the group, and for each genome its row, as `add` returned it.
    """

    def __init__(
        self,
        network: Network,
        genomes: int,
        chunk_sizes: Sequence[int] = (1,),
        buffer_sizes: Mapping[str, float] | None = None,
    ) -> None:
        self._network, self._groups = network, {group.name: group for group in network.groups}
        self._genomes, self._chunk_sizes, self._buffer_sizes = genomes, chunk_sizes, buffer_sizes
        self._added = {group.name: [RowTable.none(group.arity)] for group in network.groups}
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
        keys = np.column_stack([kind, fan_in, columns])[present]
        # Owners are the genomes with a row's first occurrence: the order of `one_by_one` relies on that.
        distinct, owners, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        numbers = self._counts[where.target] + np.arange(len(distinct))
        self._counts[where.target] += len(distinct)
        added.append(
            RowTable(
                number=numbers,
                genome=present[owners],
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
        slots = {name: np.arange(count) for name, count in self._counts.items()}
        if self._buffer_sizes is not None:
            slots |= self._share(self._buffer_sizes)
        tables = {
            name: self._table(group, self.schedules[name], slots[group.source], slots[group.target])
            for name, group in self._groups.items()
        }
        return Program(tables, np.array(self._counts["features"], np.int32))

    @cached_property
    def schedules(self) -> dict[str, Schedule]:
        """The rows of each group in the order in which they run, once all have been added."""
        return {name: self._schedule(group) for name, group in self._groups.items()}

    def _schedule(self, group: Group) -> Schedule:
        rows = RowTable(*(np.concatenate(column) for column in zip(*self._added[group.name], strict=True)))
        if tuple(self._chunk_sizes) == (1,):
            return one_by_one(rows)
        one_slot = np.array([shares_kernel(self._network, group, kind) for _, kind in group.kinds])
        return together(rows, self._chunk_sizes, group.source == group.target, one_slot)

    def _share(self, limits: Mapping[str, float]) -> dict[str, Int[np.ndarray, " rows"]]:
        """The buffer slot of each row of all buffers but the images and the features, which nothing replaces."""
        # The chunk that reads a row last, all groups counted through; what nothing reads keeps its slot.
        last = {name: np.zeros(count, int) for name, count in self._counts.items()}
        first, count = {}, 0
        for name, schedule in self.schedules.items():
            row, column = np.nonzero(schedule.rows.sources != ABSENT)
            # Of several readers the last one counts: rows ascend, and NumPy keeps what it assigns last.
            last[self._groups[name].source][schedule.rows.sources[row, column]] = count + schedule.chunk_of_row[row]
            first[name] = count
            count += schedule.chunks
        free: dict[str, list[int]] = {name: [] for name in self._counts}
        ending: list[list[int]] = [[] for _ in range(count)]  # slots that a chunk is the last to read
        slots = {group.target: np.zeros(self._counts[group.target], int) for group in self._groups.values()}
        del slots["features"]
        self.used = dict.fromkeys(slots, 0)
        for name, group in self._groups.items():
            target, schedule = group.target, self.schedules[name]
            if target not in slots:
                continue
            found = []
            ends, now = last[target][schedule.rows.number].tolist(), -1
            for end, chunk in zip(ends, (first[name] + schedule.chunk_of_row).tolist(), strict=True):
                if chunk != now:
                    # Before its own slots are found: a chunk may write over what it reads, as it writes when all of it
                    # is read.
                    free[group.source] += ending[chunk]
                    now = chunk
                if not free[target]:
                    free[target].append(self.used[target])
                    self.used[target] += 1
                found.append(free[target].pop())
                ending[end].append(found[-1])
            if self.used[target] > limits[target]:
                raise CapacityError(target)
            slots[target][schedule.rows.number] = found
        return slots

    def _table(
        self, group: Group, schedule: Schedule, read: Int[np.ndarray, " rows"], written: Int[np.ndarray, " rows"]
    ) -> Rows:
        rows, begins, runs = schedule
        count, chunks = len(rows.number), schedule.chunks
        capacity = group.rows * self._genomes
        # The last chunk may reach beyond the rows. Without room for it there, `dynamic_slice` would move its window
        # back, over rows of other slots, and say nothing.
        room = capacity + self._chunk_sizes[0] - 1
        kinds, fan_ins = np.zeros((2, capacity), np.int32)
        begin = np.full(capacity + 1, count, np.int32)
        slots, buffer_slots = np.zeros((2, room), np.int32)
        sources, blocks = np.zeros((2, room, group.arity), np.int32)
        kinds[:chunks], fan_ins[:chunks] = rows.kind[begins[:-1]], rows.fan_in[begins[:-1]]
        begin[:chunks] = begins[:-1]
        slots[:count], buffer_slots[:count] = rows.slot, written[rows.number]
        there = np.arange(group.arity) < rows.fan_in[:, None]
        present = np.nonzero(rows.sources != ABSENT)
        # Both masks run row by row and have `fan_in` entries in each: the inputs that are there move to the left.
        sources[:count][there], blocks[:count][there] = read[rows.sources[present]], present[1]
        several = len(self._chunk_sizes)
        starts = np.full((capacity if several > 1 else 1) * several + 1, chunks, np.int32)
        starts[: len(runs)] = runs
        rounds = np.array((len(runs) - 1) // several, np.int32)
        return Rows(
            np.array(chunks, np.int32), kinds, fan_ins, begin, slots, buffer_slots, sources, blocks, rounds, starts
        )
