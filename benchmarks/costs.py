"""How well the costs of `rwejax.evaluate.costs` order networks.

- Latency, a sum over a table of rows, beside the measured time of the same networks, compiled whole, one image at a
  time; and beside what others measured of NAS-Bench-201 on other hardware [1].
- Peak memory of activations, from liveness, beside the temporary memory that XLA's compiler assigns: once to networks
  whose weights are arguments, where it holds the transformed kernels of all convolutions, and once to networks whose
  weights are constants, where it holds activations alone.

Multiply-adds stand beside both, as what one would know without. XLA takes a thread for each core it may use: start with
`taskset -c 0` to measure as on one core.

[1] Li et al., "HW-NAS-Bench: hardware-aware neural architecture search benchmark", ICLR 2021.
"""

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from parts.command import Result, main
from parts.report import header
from parts.setting import search_sizes
from parts.tables import read

from rwejax import networks, spaces
from rwejax.correlating.statistics import interval, spearman
from rwejax.errors import InputError
from rwejax.evaluate import costs
from rwejax.evolve import sample_distinct

_CALLS = 5  # of a network in a round
_COLUMNS = ("raspi4_latency", "pixel3_latency", "edgegpu_latency")
_FASTER_COMPILATION = {"xla_backend_optimization_level": 0}  # code alone, no buffer


@dataclass(frozen=True)
class Config:
    """Compare predicted with measured costs."""

    spaces: str = ",".join(spaces.names())
    """Names of search spaces, of a search's sizes, for images of 32 x 32 x 3."""
    genomes: int = 30
    """Networks of each space, drawn at random, no network twice."""
    rounds: int = 30
    """Rounds over all networks, in each of which a network runs five times; its quickest call counts."""
    published: int = 300
    """Networks of NAS-Bench-201 that are compared with published latencies; 0 for none."""
    truth: Path | None = Path(os.environ["RWEJAX_TRUTH"]) if os.environ.get("RWEJAX_TRUTH") else None
    """Folder of nasbench201_latency.csv; by default RWEJAX_TRUTH."""
    seed: int = 0
    """Draws the genomes and the weights."""
    output: Path | None = None
    """JSON file for the results."""


def measure(config: Config) -> Result:
    """Compare in every space, and with the published latencies."""
    setting = {name: value for name, value in asdict(config).items() if name not in ("output", "truth")}
    found = {name: measure_space(config, name) for name in config.spaces.split(",")}
    return {**header(setting), "spaces": found, "published": measure_published(config) if config.published else {}}


def measure_space(config: Config, name: str) -> dict[str, Any]:
    """Both costs of random networks beside what they are to predict."""
    space = spaces.get(name, **search_sizes(name))
    genomes = draw(config, space)
    latency = costs.Latency(space)
    start = time.perf_counter()
    latency.measure()
    seconds = time.perf_counter() - start
    compiled = [compile_whole(space, genome, config.seed) for genome in genomes]
    values = {cost: costs.get(cost, space)(genomes) for cost in ("macs", "memory")} | {"latency": latency(genomes)}
    measured = {
        "milliseconds": times(config, [each["call"] for each in compiled]),
        "bytes_weights_as_arguments": np.array([each["arguments"] for each in compiled], float),
        "bytes_weights_as_constants": np.array([each["constants"] for each in compiled], float),
    }
    ratios = values["latency"] / measured["milliseconds"]
    pairs = [("latency", "milliseconds"), ("macs", "milliseconds")]
    pairs += [(cost, column) for column in list(measured)[1:] for cost in ("memory", "macs")]
    return {
        "sizes": search_sizes(name),
        "table_seconds": seconds,
        "table": {name: latency.to_json()[name] for name in ("slowdown", "milliseconds")},
        "spearman": {
            f"{cost} {column}": compare(values[cost], measured[column], config.seed) for cost, column in pairs
        },
        "predicted_over_measured": dict(zip(("low", "median", "high"), np.quantile(ratios, (0, 0.5, 1)), strict=True)),
        "values": {column: each.tolist() for column, each in (values | measured).items()},
    }


def draw(config: Config, space: spaces.Space) -> np.ndarray:
    """Different networks, a path through each."""
    drawn = np.asarray(
        space.canonical(np.asarray(sample_distinct(jax.random.key(config.seed), space, 2 * config.genomes)))
    )
    _, features = networks.lower(space, networks.network(space), drawn, len(drawn))
    return drawn[features != networks.ABSENT][: config.genomes]


def compile_whole(space: spaces.Space, genome: np.ndarray, seed: int) -> dict[str, Any]:
    """A network for one image: a call of it, and the temporary bytes of both its forms."""
    module = networks.build(space, genome)
    image = np.ones((1, *space.input_shape), np.float32)
    variables = random_variables(module, image, seed)
    whole = jax.jit(module.apply).lower(variables, image).compile()
    folded = jax.jit(lambda image: module.apply(variables, image)).lower(image)
    image, variables = jax.device_put((image, variables), jax.devices()[0])
    return {
        "call": lambda: whole(variables, image).block_until_ready(),
        "arguments": whole.memory_analysis().temp_size_in_bytes,
        "constants": folded.compile(compiler_options=_FASTER_COMPILATION).memory_analysis().temp_size_in_bytes,
    }


def random_variables(module: nn.Module, image: np.ndarray, seed: int) -> dict[str, Any]:
    """Weights and statistics, small and positive."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)
    return {
        name: jax.tree.map(lambda leaf: random.uniform(0.05, 0.15, leaf.shape).astype(np.float32), shapes[name])
        for name in ("params", "batch_stats")
    }


def times(config: Config, calls: list[Any]) -> np.ndarray:
    """Milliseconds of each call."""
    found = np.zeros((config.rounds, len(calls), _CALLS))
    for each in found:
        for row, call in zip(each, calls, strict=True):
            call()  # what another network has left in the caches is no network's cost
            for k in range(_CALLS):
                start = time.perf_counter()
                call()
                row[k] = 1e3 * (time.perf_counter() - start)
    return found.min((0, 2))


def measure_published(config: Config) -> dict[str, Any]:
    """NAS-Bench-201 at full size beside its latencies on other hardware."""
    rows = read(config.truth / "nasbench201_latency.csv") if config.truth is not None else []
    if not rows:
        raise InputError("truth has no nasbench201_latency.csv: name its folder, or give --published 0")
    space = spaces.get("nasbench201", channels=16, cells=5)
    chosen = np.random.default_rng(config.seed).permutation(len(rows))[: config.published]
    genomes = np.stack([space.from_string(rows[k]["architecture"]) for k in chosen])
    genomes = np.asarray(space.canonical(genomes))
    return {
        cost: {
            column: compare(
                costs.get(cost, space)(genomes), np.array([float(rows[k][column]) for k in chosen]), config.seed
            )
            for column in _COLUMNS
        }
        for cost in ("latency", "macs")
    }


def compare(predicted: np.ndarray, measured: np.ndarray, seed: int) -> dict[str, float] | None:
    """Rank correlation and its 95 % interval; none where all predictions are the same."""
    if np.ptp(predicted) == 0:
        return None
    low, high = interval(predicted, measured, seed)
    return {"spearman": spearman(predicted, measured), "low": low, "high": high}


if __name__ == "__main__":
    sys.exit(main(Config, measure))
