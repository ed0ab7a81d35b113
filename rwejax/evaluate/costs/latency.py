"""Latency from a table: each kind of row is timed once, and a network takes the sum of its rows.

Where a compiler fuses a row into its reader, the two are timed together as well: see `rwejax.evaluate.costs.chains`.

Cai et al., "ProxylessNAS: direct neural architecture search on target task and hardware", ICLR 2019, and Wu et al.,
"FBNet: hardware-aware efficient ConvNet design via differentiable neural architecture search", CVPR 2019, predict
latency by such a table. A row that is timed alone, again and again, finds its code and its data in the nearest caches;
in a network it does not, and takes about twice as long. Three networks are called whole to learn how much longer.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax import networks
from rwejax.errors import InputError
from rwejax.evaluate.costs import timing
from rwejax.evaluate.costs.chains import (
    Chain,
    chain_function,
    liveness_of,
    name_of,
    place_of,
    producers,
    whole_function,
)
from rwejax.genomes import check_genomes
from rwejax.networks.genome_rows import genome_rows
from rwejax.networks.program import ABSENT
from rwejax.runtime import collectives
from rwejax.spaces import Space

_SAMPLED = 500  # random networks whose rows are measured beforehand
_WHOLE = 3  # of them, which are called whole
_UNSURE = 1.1  # times that differ by less are taken to be the same
_PASSES = 3  # over all that is measured together, so that no row has only a bad moment


class Latency:
    """Milliseconds for a batch at inference on this device, the sum of a network's rows and of its head.

    A row's time depends on its group, its kind and its fan-in, for all slots of a group have maps of one shape. It is
    that of the row alone, times the slowdown of rows among others. A pool or a sum that is fused into the row that
    reads it adds what the pair takes beyond the two of them apart. What is lacking is measured when a genome needs it;
    nothing is measured before. All hosts take the times of the first one. A network through which no path leads takes
    the time of its head.

    Args:
        space: the space of the genomes.
        batch: images that go through a network together.
        table: milliseconds by name, measured before on this kind of device; it is copied.
        slowdown: measured before; None: yet to be measured.

    Attributes:
        table: milliseconds by name: `group/kind/fan_in`, two of these joined by ` > ` for a pair, or `head`.
        slowdown: how many times as long a row takes in a network as alone; None before it is needed.
        batch: images that go through a network together.
        device: kind of the device.

    Raises:
        InputError: the batch or a time of the table is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench201", channels=4, cells=1)
        >>> table = {"enter1/stem/1": 0.02, "enter2/residual/1": 0.05, "enter3/residual/1": 0.04}
        >>> cost = Latency(space, table=table | {"output/output/1": 0.01, "head": 0.005}, slowdown=2.0)
        >>> cost(space.from_string("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")[None]).tolist()
        [0.25]
    """

    def __init__(
        self, space: Space, batch: int = 1, table: Mapping[str, float] | None = None, slowdown: float | None = None
    ) -> None:
        if batch < 1:
            raise InputError(f"batch is {batch}: give 1 or more")
        self.table = {name: _milliseconds(name, value) for name, value in (table or {}).items()}
        self.slowdown = slowdown
        self.batch, self.device = batch, _device().device_kind
        self._space, self._network = space, networks.network(space)

    @classmethod
    def from_json(cls, space: Space, saved: Mapping[str, Any], batch: int = 1) -> "Latency":
        """With a table that was measured before.

        Args:
            space: the space of the genomes.
            saved: what `to_json` gave.
            batch: images that go through a network together.

        Raises:
            InputError: the table was measured on another kind of device, with another batch or for other networks, or
                it is none.
        """
        cost = cls(space, batch)
        mend = "measure anew"
        if not isinstance(saved, Mapping) or not isinstance(saved.get("milliseconds"), Mapping):
            raise InputError(f"the latency table has no 'milliseconds': {mend}")
        slowdown = saved.get("slowdown")
        if slowdown is not None and not (isinstance(slowdown, int | float) and 1 <= slowdown < math.inf):
            raise InputError(f"the latency table has a slowdown of {slowdown!r}: {mend}")
        for name, expected in cost.to_json().items():
            if name not in ("milliseconds", "slowdown") and saved.get(name) != expected:
                raise InputError(
                    f"the latency table was measured with {name} {saved.get(name)!r} and is wanted with {expected!r}: "
                    f"{mend}"
                )
        return cls(space, batch, saved["milliseconds"], slowdown)

    def to_json(self) -> dict[str, Any]:
        """The table and what it was measured with, as JSON knows it."""
        maps = {name: list(shape) for name, shape in self._network.buffers.items()}
        return {
            "device": self.device,
            "batch": self.batch,
            "space": self._space.name,
            "classes": self._space.classes,
            "maps": maps,
            "slowdown": self.slowdown,
            "milliseconds": dict(sorted(self.table.items())),
        }

    def __call__(self, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        """Milliseconds of each genome's network."""
        genomes = check_genomes(self._space, genomes)
        if not len(genomes):
            return np.zeros(0)
        if self.slowdown is None:
            self.slowdown = self._measure_whole()
        return np.array([self.slowdown * alone + beyond for alone, beyond in self._sums(genomes)])

    def measure(self) -> None:
        """Measure all that 500 random networks need; a row takes about half a second."""
        self._sums(self._random())
        self.slowdown = self.slowdown or self._measure_whole()

    def _measure_whole(self) -> float:
        """The median over some networks; of a network, what beside its pairs it takes for each second of its rows."""
        drawn = np.asarray(self._space.canonical(self._random()))
        _, features = networks.lower(self._space, self._network, drawn, len(drawn))
        chosen = drawn[features != ABSENT][:_WHOLE]
        seconds = timing.call_seconds([whole_function(self._space, each, self.batch) for each in chosen], _device())
        sums = zip(seconds, self._sums(chosen), strict=True)
        ratios = [(1e3 * whole - beyond) / alone for whole, (alone, beyond) in sums]
        return float(collectives.text_of_first_host(f"{max(1.0, np.median(ratios)):.3g}"))

    def _random(self) -> Int[np.ndarray, "n genes"]:
        random = np.random.default_rng(0)
        lower, upper = self._space.lower, self._space.upper
        return random.integers(lower, upper + 1, (_SAMPLED, len(lower)), dtype=np.int32)

    def _sums(self, genomes: Int[np.ndarray, "n genes"]) -> list[tuple[float, float]]:
        """Of each network the milliseconds of its rows and its head alone, and what its pairs take beyond those."""
        numbers, chains = self._chains(genomes)
        self._add(chains.values())
        times = {number: self._terms(each) for number, each in chains.items()}
        head = self.table[name_of(self._network, ())]
        # Summed exactly, so that the order of the rows, which depends on the population, changes nothing.
        return [
            (math.fsum([head, *(times[row][0] for row in each)]), math.fsum(times[row][1] for row in each))
            for each in numbers
        ]

    def _chains(self, genomes: Int[np.ndarray, "n genes"]) -> tuple[list[list[int]], dict[int, list[Chain]]]:
        """The numbers of each genome's rows, and for each row its place and its pairs with what is fused into it."""
        program, features = networks.lower(self._space, self._network, genomes, len(genomes))
        distinct, numbers = genome_rows(self._network, program, features)
        chains: dict[int, list[Chain]] = {}
        places = {place_of(row) for row in distinct}
        fused = {place for place in places if liveness_of(self._network, place).fused}
        for row in sorted({row for each in numbers for row in each}):
            place = place_of(distinct[row])
            before = producers(self._network, distinct, row, fused)
            chains[row] = [(place,), *((producer, place) for producer in before)]
        return numbers, chains

    def _terms(self, chains: list[Chain]) -> tuple[float, float]:
        """A row's time alone, and what its pairs take beyond those of their two rows and a tenth more."""
        times = [[self.table[name_of(self._network, each)] for each in (chain, *zip(chain))] for chain in chains]
        return times[0][0], math.fsum(max(0.0, pair - _UNSURE * (first + last)) for pair, first, last in times[1:])

    def _add(self, chains: Iterable[list[Chain]]) -> None:
        """Measure what the table lacks."""
        wanted: set[Chain] = {(), *(chain for each in chains for chain in each)}
        missing = [chain for chain in sorted(wanted) if name_of(self._network, chain) not in self.table]
        watches = [
            timing.Stopwatch(*chain_function(self._network, self._space.classes, chain, self.batch), _device())
            for chain in missing
        ]
        for watch in _PASSES * watches:
            watch.run()
        for chain, watch in zip(missing, watches, strict=True):
            milliseconds = collectives.text_of_first_host(f"{1e3 * watch.seconds:.4g}")
            self.table[name_of(self._network, chain)] = float(milliseconds)


def _device() -> jax.Device:
    return jax.local_devices()[0]


def _milliseconds(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"the latency table has {value!r} for {name!r}: give milliseconds")
    return float(value)
