"""Latency from a table: each kind of row is timed once, and a network takes the sum of its rows.

Cai et al., "ProxylessNAS: direct neural architecture search on target task and hardware", ICLR 2019, and Wu et al.,
"FBNet: hardware-aware efficient ConvNet design via differentiable neural architecture search", CVPR 2019, predict
latency by such a table. It ranks networks; it does not know what a compiler fuses across rows, what rows run beside
each other, and what the caches still hold from the row before.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from rwejax import networks
from rwejax.errors import InputError
from rwejax.evaluate.costs import timing
from rwejax.networks.genome_rows import GenomeRow, GenomeRows, RowFunction, genome_rows, row_function
from rwejax.runtime import collectives
from rwejax.spaces import Space

HEAD = "head"
"""The table's entry for the linear layer."""

_SAMPLED = 500  # random networks whose rows are measured beforehand


class Latency:
    """Milliseconds for a batch at inference on this device, the sum of a network's rows and of its head.

    A row's time depends on its group, its kind and its fan-in, for all slots of a group have maps of one shape. What
    the table lacks is measured when a genome needs it, and added; nothing is measured before. All hosts take the times
    of the first one. A network through which no path leads takes the time of its head.

    Args:
        space: the space of the genomes.
        batch: images that go through a network together.
        table: milliseconds by `group/kind/fan_in`, measured before on this kind of device; it is copied.

    Attributes:
        table: milliseconds by `group/kind/fan_in`, and of the head.
        batch: images that go through a network together.
        device: kind of the device.

    Raises:
        InputError: the batch or a time of the table is out of its range.

    Example:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench201", channels=4, cells=1)
        >>> table = {"enter1/stem/1": 0.02, "enter2/residual/1": 0.05, "enter3/residual/1": 0.04}
        >>> cost = Latency(space, table=table | {"output/output/1": 0.01, "head": 0.005})
        >>> cost(space.from_string("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")[None]).tolist()
        [0.125]
    """

    def __init__(self, space: Space, batch: int = 1, table: Mapping[str, float] | None = None) -> None:
        if batch < 1:
            raise InputError(f"batch is {batch}: give 1 or more")
        self.table = {name: _milliseconds(name, value) for name, value in (table or {}).items()}
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
        for name, expected in cost.to_json().items():
            if name != "milliseconds" and saved.get(name) != expected:
                raise InputError(
                    f"the latency table was measured with {name} {saved.get(name)!r} and is wanted with {expected!r}: "
                    f"{mend}"
                )
        return cls(space, batch, saved["milliseconds"])

    def to_json(self) -> dict[str, Any]:
        """The table and what it was measured with, as JSON knows it."""
        maps = {name: list(shape) for name, shape in self._network.buffers.items()}
        return {
            "device": self.device,
            "batch": self.batch,
            "space": self._space.name,
            "classes": self._space.classes,
            "maps": maps,
            "milliseconds": dict(sorted(self.table.items())),
        }

    def __call__(self, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        """Milliseconds of each genome's network."""
        if not len(genomes):
            return np.zeros(0)
        rows = self._rows(genomes)
        self._add(self._entries(rows))
        times = [self.table[self._name(row)] for row in rows.distinct]
        # Summed exactly, so that the order of the rows, which depends on the population, changes nothing.
        return np.array([math.fsum([self.table[HEAD], *(times[row] for row in each)]) for each in rows.genomes])

    def measure(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Measure what 500 random networks need and the table lacks; a row takes some tenths of a second.

        Args:
            progress: is told after every row how many are measured, and of how many.
        """
        random = np.random.default_rng(0)
        lower, upper = self._space.lower, self._space.upper
        genomes = random.integers(lower, upper + 1, (_SAMPLED, len(lower)), dtype=np.int32)
        self._add(self._entries(self._rows(genomes)), progress)

    def _rows(self, genomes: Int[np.ndarray, "n genes"]) -> GenomeRows:
        program, features = networks.lower(self._space, self._network, genomes, len(genomes), 1)
        return genome_rows(self._network, program, features)

    def _name(self, row: GenomeRow) -> str:
        group = self._network.groups[row.group]
        return f"{group.name}/{group.kinds[row.kind][0]}/{len(row.sources)}"

    def _entries(self, rows: GenomeRows) -> dict[str, GenomeRow | None]:
        """The table's entries that networks need, each with a row that it stands for; the head is none."""
        needed = sorted({number for numbers in rows.genomes for number in numbers})
        return {HEAD: None} | {self._name(row): row for row in (rows.distinct[number] for number in needed)}

    def _add(self, entries: Mapping[str, GenomeRow | None], progress: Callable[[int, int], None] | None = None) -> None:
        """Measure what the table lacks."""
        missing = {name: row for name, row in entries.items() if name not in self.table}
        found = {}
        for number, (name, row) in enumerate(missing.items(), 1):
            milliseconds = 1e3 * timing.seconds(*self._function(row), _device())
            found[name] = float(f"{milliseconds:.4g}")
            if progress is not None:
                progress(number, len(missing))
        if missing:
            self.table |= json.loads(collectives.text_of_first_host(json.dumps(found)))

    def _function(self, row: GenomeRow | None) -> RowFunction:
        if row is not None:
            return row_function(self._network, row.group, row.kind, len(row.sources), self.batch)
        head = nn.Dense(self._space.classes)
        features = jax.ShapeDtypeStruct((self.batch, *self._network.buffers["features"]), jnp.float32)
        variables = jax.eval_shape(head.init, jax.random.key(0), features)

        def apply(values: Any, maps: list[jax.Array]) -> Any:
            return head.apply(values, maps[0])

        return RowFunction(apply, variables, [features])


def _device() -> jax.Device:
    return jax.local_devices()[0]


def _milliseconds(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"the latency table has {value!r} for {name!r}: give milliseconds")
    return float(value)
