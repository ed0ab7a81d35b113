"""How often a population takes the loops and branches of the compiled pass: its program is data, so it is known."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rwejax import networks
from rwejax.runtime.device_kinds import DeviceKind


@dataclass(frozen=True)
class Chunks:
    """The chunks of a group that come by a place in the compiled code.

    Attributes:
        kind: kind of each, as its position in the group.
        fan_in: number of sources of each of its rows.
    """

    kind: np.ndarray
    fan_in: np.ndarray

    def split(self, by: np.ndarray, branches: int) -> list[tuple[float, "Chunks"]]:
        """The share of each branch and its chunks, where a number of each chunk chooses."""
        taken = [by == branch for branch in range(branches)]
        return [(float(chosen.mean()), Chunks(self.kind[chosen], self.fan_in[chosen])) for chosen in taken]


def chunks_of(rows: networks.Rows, sizes: Sequence[int], size: int) -> Chunks:
    """The chunks of one size.

    Args:
        rows: of a group.
        sizes: of all chunks, descending.
        size: one of them.
    """
    runs = range(sizes.index(size), int(rows.rounds) * len(sizes), len(sizes))
    chosen = np.concatenate([np.arange(*rows.runs[run : run + 2]) for run in runs] or [np.zeros(0, int)])
    return Chunks(rows.kind[chosen], rows.fan_in[chosen])


class PopulationSchedule:
    """What the scopes of the executor and of the heads mean for one program, see `parts.hlo.Schedule`.

    Args:
        network: the groups.
        program: of a population, or of a part of it.
        kind: of the device.
        heads: networks whose heads are fitted at once.
    """

    def __init__(self, network: networks.Network, program: networks.Program, kind: DeviceKind, heads: int) -> None:
        self._groups = {group.name: group for group in network.groups}
        self._program, self._sizes = program, list(kind.chunk_sizes)
        self._heads, self._codes = heads, kind.codes_at_once
        names = "|".join(map(re.escape, self._groups))
        self._group_loop = re.compile(rf"/({names})/while(?:/body/chunks_of_(\d+)/while)?(?:/body/(.*))?$")

    def turns(self, path: str, where: Any) -> tuple[float, Any] | None:
        """Rounds and chunks of a group; networks, some at once; their ReLUs, likewise."""
        features = int(self._program.features)
        if found := self._group_loop.search(path):
            name, size, inside = found.groups()
            if inside is not None:
                return None
            rows = self._program.rows[name]
            if size is None and len(self._sizes) > 1:
                return float(rows.rounds), None
            chunks = chunks_of(rows, self._sizes, int(size or self._sizes[0]))
            return len(chunks.kind) / max(1, int(rows.rounds)), chunks
        if path.endswith("/heads/while"):
            return float(-(-features // self._heads)), None
        relus = re.search(r"/heads/.*\brelus(\d+)\)?/while$", path)
        if relus and self._program.codes and features:
            counts = self._program.codes.counts[:features, int(relus.group(1))]
            turns = -(-np.maximum.reduceat(counts, np.arange(0, features, self._heads)) // self._codes)
            return float(turns.mean()), None
        return None

    def shares(self, path: str, branches: int, where: Any) -> list[tuple[float, Any]] | None:
        """Of the kinds of a group; of the numbers of sources; of networks that are there."""
        if found := self._group_loop.search(path):
            name, _, inside = found.groups()
            kinds = len(self._groups[name].kinds)
            if inside == "cond" and kinds == branches > 1:
                return where.split(where.kind, branches)
            return where.split(where.fan_in - 1, branches) if branches == self._groups[name].arity else None
        return [(0.0, None), (1.0, None)] if path.endswith("/heads/while/body/cond") else None


class Unknown:
    """Of code that no program steers: loops whose turns the compiler does not know count as one turn, as guessed."""

    def turns(self, path: str, where: Any) -> None:
        """Nothing is known."""

    def shares(self, path: str, branches: int, where: Any) -> None:
        """Nothing is known."""


UNKNOWN = Unknown()
