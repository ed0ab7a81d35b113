"""Times all sides of a generation of NSGA-II at all sizes, and compares what they choose."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evolve import (
    crowding_distance,
    mutate,
    non_dominated_rank,
    select_survivors,
    tournament,
    two_point_crossover,
)
from rwejax.evolve.distinct import encode

from .command import require
from .report import count_compilations, count_cores, header, peak_memory_gib, spread
from .selection_sides import EvoX, Objectives, Pymoo, Rwejax, Side, TwoCalls, has_evox

if TYPE_CHECKING:
    from ..selection import Config

TURN_SECONDS, TURN_CALLS = 0.3, 50
OURS = "rwejax", "rwejax, two calls"
TOLERANCE = 1e-4  # relative, of crowding distances: pymoo computes them in double precision


def measure(config: "Config") -> dict[str, Any]:
    """Time all sides at all sizes.

    Raises:
        InputError: the setting cannot be timed.
    """
    if not config.sizes or min(*config.sizes, config.generations, config.repetitions) < 2:
        raise InputError("sizes, generations and repetitions are counts: give 2 or more of each")
    if config.peers:
        require("pymoo", "dev")
    space = spaces.Macro()
    objectives = Objectives(space, config.seed)
    peers = (["pymoo"] + ["evox"] * has_evox()) if config.peers else []
    # First, because a process begins with the peak of the one that started it.
    alone = {"n": config.sizes[-1], "peak_memory_gib": memory_alone(config.sizes[-1], config)} if config.peers else None
    rows: dict[str, Any] = {}
    last: dict[str, tuple[int, float]] = {}
    for n in config.sizes:
        ours = Rwejax(space, objectives, n, config.generations, config.seed)
        population = np.asarray(ours.state.population)
        makers: dict[str, Callable[[], Side]] = {
            "rwejax": lambda ours=ours: ours,
            "rwejax, two calls": lambda ours=ours: TwoCalls(ours),
            "pymoo": lambda population=population: Pymoo(population, objectives),
            "evox": lambda population=population: EvoX(population, objectives, count_cores()),
        }
        expected = {name: seconds * (n / size) ** 2 for name, (size, seconds) in last.items()}
        sides = {name: makers[name]() for name in [*OURS, *peers] if expected.get(name, 0.0) < config.limit}
        turns, compilations = take_turns(sides, config.repetitions)
        last = {name: (n, statistics.median(turn["generation"] for turn in turns[name])) for name in sides}
        last |= {name: (n, seconds) for name, seconds in expected.items() if name not in sides}
        rows[str(n)] = {
            **describe(ours, turns, config),
            "rwejax_compilations_after_first_call": compilations,
            "agreement": compare(ours, config.peers),
        }
    setting = {name: value for name, value in asdict(config).items() if name != "output"}
    return {
        **header(setting, "numpy", *peers, *["torch"] * ("evox" in peers)),
        "agreement": {"holds": all(row["agreement"]["holds"] for row in rows.values())},
        "sizes": rows,
        "peak_memory_gib": peak_memory_gib(),
        "rwejax_alone": alone,
    }


def take_turns(sides: dict[str, Side], repetitions: int) -> tuple[dict[str, list[dict[str, float]]], int]:
    """The median seconds of the parts of a generation, for each side and turn, and how often JAX compiled meanwhile.

    A turn repeats a side's generation for some tenths of a second, so that a short one is not measured by one call.
    """
    number = 0

    def turn(side: Side, calls: int) -> dict[str, float]:
        nonlocal number
        runs = []
        for _ in range(calls):
            number += 1
            parts = side.generation(number)
            runs.append(parts | {"generation": sum(parts.values())})
        return {part: statistics.median(run[part] for run in runs) for part in runs[0]}

    calls = {
        name: int(np.clip(TURN_SECONDS / turn(side, 1)["generation"], 1, TURN_CALLS)) for name, side in sides.items()
    }
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    compilations = count_compilations()
    for _ in range(repetitions):
        for name, side in sides.items():
            turns[name].append(turn(side, calls[name]))
    return turns, len(compilations)


def describe(ours: Rwejax, turns: dict[str, list[dict[str, float]]], config: "Config") -> dict[str, Any]:
    """What is said of one size."""
    state = ours.state
    return {
        "archive": int(state.archive_count),
        "fronts": int(state.rank.max()) + 1,
        "sides": {
            name: {part: {"turns": (values := [turn[part] for turn in runs]), **spread(values)} for part in runs[0]}
            for name, runs in turns.items()
        },
        "ratio": {
            f"rwejax / {name}": spread(
                theirs["generation"] / mine["generation"] for mine, theirs in zip(turns["rwejax"], runs, strict=True)
            )
            for name, runs in turns.items()
            if name != "rwejax"
        },
        "rwejax_first_call_seconds": ours.first_call_seconds,
        "rwejax_parts": time_parts(ours, config.repetitions),
    }


def time_parts(ours: Rwejax, repetitions: int) -> dict[str, dict[str, float]]:
    """Seconds of the functions that a generation is made of, each compiled and called by itself."""
    state, space, params = ours.state, ours.algorithm.space, ours.params
    children = np.asarray(ours.children(0))
    merged = np.concatenate([state.fitness, ours.objectives(children)])
    rank = np.asarray(non_dominated_rank(merged))
    crowding = np.asarray(crowding_distance(merged, rank))
    n = len(children)

    @jax.jit
    def vary(key: jax.Array) -> jax.Array:
        key_parents, key_crossover, key_mutation = jax.random.split(key, 3)
        parents = tournament(key_parents, state.rank, state.crowding, 2 * n).reshape(2, -1)
        crossed = two_point_crossover(key_crossover, *state.population[parents], params.crossover_rate)
        return mutate(key_mutation, crossed, space.lower, space.upper, params.mutation_rate)

    def select(rank: jax.Array, crowding: jax.Array) -> jax.Array:
        return select_survivors(rank, crowding, n)

    # The inputs differ from call to call, as in a search: a processor learns the branches of a repeated sort by heart.
    orders = [np.random.default_rng(call).permutation(2 * n) for call in range(TURN_CALLS)]
    parts: dict[str, tuple[Callable[..., Any], list[tuple]]] = {
        "variation, n children, duplicates left in": (vary, [(key,) for key in jax.random.split(ours.key, TURN_CALLS)]),
        "non-dominated ranks of 2 n": (non_dominated_rank, [(merged[order],) for order in orders]),
        "crowding distances of 2 n": (crowding_distance, [(merged[order], rank[order]) for order in orders]),
        "choosing n of 2 n": (select, [(rank[order], crowding[order]) for order in orders]),
    }
    return {name: spread(time_part(*part, repetitions)) for name, part in parts.items()}


def time_part(function: Callable[..., Any], inputs: Sequence[tuple], repetitions: int) -> list[float]:
    """The median seconds of each turn, of as many calls as there are inputs."""
    inputs = jax.device_put(inputs)
    jax.block_until_ready(function(*inputs[0]))
    medians = []
    for _ in range(repetitions):
        seconds = []
        for arguments in inputs:
            start = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            seconds.append(time.perf_counter() - start)
        medians.append(statistics.median(seconds))
    return medians


def compare(ours: Rwejax, with_pymoo: bool) -> dict[str, Any]:
    """Check the children, and compare ranks and survivors with pymoo's on the same objectives."""
    children = np.asarray(ours.children(0))
    fitness = ours.objectives(children)
    state, space = ours.state, ours.algorithm.space
    known = np.concatenate([state.codes, state.archive[: state.archive_count]])
    codes = {code.tobytes() for code in np.asarray(encode(space, children))}
    result: dict[str, Any] = {
        "children_are_new": len(codes) == len(children) and not codes & {code.tobytes() for code in known}
    }
    if with_pymoo:
        from pymoo.core.population import Population
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
        from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

        merged = np.concatenate([state.fitness, fitness])
        rank = NonDominatedSorting().do(merged, return_rank=True)[1]
        result["ranks_equal"] = bool((np.asarray(non_dominated_rank(merged)) == rank).all())
        # Rows that tie may stand for each other, so survivors are compared by rank and crowding distance.
        kept = RankAndCrowding()._do(
            None, Population.new(F=merged), n_survive=len(children), random_state=np.random.default_rng(0)
        )
        told, _ = ours.algorithm.tell(ours.key, children, fitness, state, ours.params)
        mine = np.lexsort((told.crowding, told.rank))
        theirs = np.lexsort((kept.get("crowding"), kept.get("rank")))
        result["survivors_equal"] = bool(
            (told.rank[mine] == kept.get("rank")[theirs]).all()
            and np.allclose(told.crowding[mine], kept.get("crowding")[theirs], rtol=TOLERANCE)
        )
    return {**result, "holds": all(result.values())}


def memory_alone(n: int, config: "Config") -> float:
    """The peak memory in GiB of a process in which rwejax runs alone, at one size."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "alone.json"
        script = Path(__file__).parents[1] / "selection.py"
        options = ["--no-peers", f"--sizes={n}", f"--generations={config.generations}", f"--seed={config.seed}"]
        command = [sys.executable, str(script), *options, "--repetitions=2", f"--output={output}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return float(json.loads(output.read_text(encoding="utf-8"))["peak_memory_gib"])
