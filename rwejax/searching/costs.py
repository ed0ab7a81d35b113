"""What the networks of a search cost, and what the run folder keeps of it.

Latency is measured, so that two processes get two values. A search measures each kind of row once, keeps the table as
latency.json in its folder, and a resumed one reads it there.
"""

import json
from functools import cached_property
from pathlib import Path

import jax
import msgspec
import numpy as np
from jaxtyping import Float, Int

from rwejax.errors import InputError
from rwejax.evaluate import costs
from rwejax.objectives import COMPLEXITY, COSTS
from rwejax.searching.config import SearchConfig
from rwejax.spaces import Space
from rwejax.storage.atomic import replacing
from rwejax.storage.files import read_whole
from rwejax.storage.schema import Seconds, Text, convert, parse_json

TABLE = "latency.json"

_MOST_BYTES = 2**24

_REFERENCE_GENOMES = 1000


class _Table(msgspec.Struct):
    """What latency.json says; of whom it is, `Latency.from_json` checks."""

    milliseconds: dict[Text, Seconds]


class PopulationCosts:
    """The costs that a search minimises, for whole populations.

    Args:
        space: the search space, made for the images of the dataset.
        config: names the costs.
    """

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self._space, self._batch, self._kept = space, config.latency_batch, 0
        self._costs: dict[str, costs.Cost] = {
            name: costs.Latency(space, self._batch) if name == "latency" else costs.get(name, space)
            for name in config.cost_names
        }

    def load(self, run_dir: Path) -> None:
        """Take the latencies that a run folder holds, or measure them and write them there.

        Args:
            run_dir: the run folder.

        Raises:
            InputError: the file is broken, or of another device or batch.
        """
        if "latency" not in self._costs:
            return
        path = run_dir / TABLE
        if path.exists():
            try:
                saved = parse_json(read_whole(path, _MOST_BYTES))
                convert(saved, _Table)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise InputError(f"{str(path)!r} is broken ({reason}): restore it, or start a new run") from error
            latency = self._costs["latency"] = costs.Latency.from_json(self._space, saved, self._batch)
            self._kept = len(latency.table)
        else:
            self._latency.measure()
        self.keep(run_dir)

    def keep(self, run_dir: Path) -> None:
        """Write the latencies down where some are new; before the evaluations that have them.

        Args:
            run_dir: the run folder.
        """
        if "latency" in self._costs and len(self._latency.table) > self._kept:
            with replacing(run_dir / TABLE) as file:
                json.dump(self._latency.to_json(), file, indent=2)
                file.write("\n")
            self._kept = len(self._latency.table)

    def __call__(self, genomes: Int[np.ndarray, "n genes"]) -> dict[str, Float[np.ndarray, " n"]]:
        """The costs by name, in base units.

        Args:
            genomes: the population.
        """
        return {name: np.asarray(cost(genomes)) for name, cost in self._costs.items()}

    def minimised(self, values: dict[str, Float[np.ndarray, " n"]]) -> Float[np.ndarray, "n costs"]:
        """Costs in the units of their objectives, a column each.

        Args:
            values: what a call has returned.
        """
        return np.stack([COSTS[name].minimised(values[name]) for name in self._costs], 1)

    @cached_property
    def largest(self) -> tuple[float, ...]:
        """About the largest cost in the space: of many random networks and the two corners, in objectives' units."""
        drawn = np.asarray(self._space.sample(jax.random.key(0), _REFERENCE_GENOMES))
        genomes = np.concatenate([drawn, self._space.lower[None], self._space.upper[None]])
        # Of macs and params as the genomes are written, parts that are never run included.
        written = {name: getattr(self._space, name)(genomes) for name in self._costs if name in COMPLEXITY}
        values = {name: cost(genomes) for name, cost in self._costs.items() if name not in COMPLEXITY}
        return tuple(self.minimised(values | written).max(0).tolist())

    @property
    def _latency(self) -> costs.Latency:
        latency = self._costs["latency"]
        assert isinstance(latency, costs.Latency)
        return latency
