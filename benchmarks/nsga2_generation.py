"""Seconds a generation of NSGA-II takes, evaluation left out: rwejax against pymoo.

Both choose among the same macro genomes and make children of them, in turns and in one process. See the README beside
this file for what either side is given.
"""

import multiprocessing
import statistics
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from parts.command import Result, main, require
from parts.nsga2_sides import Objectives, Pymoo, Rwejax, Side, TwoCalls
from parts.report import count_compilations, header, peak_memory_gib, spread

import rwejax
from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evolve import non_dominated_rank
from rwejax.evolve.distinct import encode

TURN_SECONDS, TURN_CALLS = 0.3, 50
TOLERANCE = 1e-4  # relative, of crowding distances: pymoo computes them in double precision


@dataclass(frozen=True)
class Config:
    """Time one generation of NSGA-II on this machine's CPU."""

    sizes: tuple[int, ...] = (100, 300, 1000, 3000, 10000)
    """Population sizes, ascending."""
    generations: int = 10
    """Generations of the search that the one to time is the last of: so many populations does the archive hold."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    peers: bool = True
    """Time pymoo as well."""
    seed: int = 0
    """Draws the objectives, the first population and the children."""
    output: Path | None = None
    """JSON file for the results."""


def measure(config: Config) -> Result:
    """Time all sides at all sizes.

    Raises:
        InputError: the setting cannot be timed.
    """
    if not config.sizes or min(*config.sizes, config.generations, config.repetitions) < 2:
        raise InputError("sizes, generations and repetitions are counts: give 2 or more of each")
    if config.peers:
        require("pymoo", "dev")
    # First, because a process begins with the peak of the one that started it.
    alone = {"n": config.sizes[-1], "peak_memory_gib": memory_alone(config)} if config.peers else None
    space = spaces.Macro()
    objectives = Objectives(space, config.seed)
    rows: dict[str, Any] = {}
    for n in config.sizes:
        ours = Rwejax(space, objectives, n, config.generations, config.seed)
        sides: dict[str, Side] = {"rwejax": ours, "rwejax, two calls": TwoCalls(ours)}
        if config.peers:
            sides["pymoo"] = Pymoo(np.asarray(ours.state.population), objectives)
        turns, compilations = take_turns(sides, config.repetitions)
        rows[str(n)] = {
            **describe(ours, turns),
            "rwejax_compilations_after_first_call": compilations,
            "agreement": compare(ours, config.peers),
        }
    setting = {name: value for name, value in asdict(config).items() if name != "output"}
    return {
        **header(setting, "numpy", *["pymoo"] * config.peers),
        "agreement": {"holds": all(row["agreement"]["holds"] for row in rows.values())},
        "sizes": rows,
        "peak_memory_gib": peak_memory_gib(),
        "rwejax_alone": alone,
    }


def memory_alone(config: Config) -> float:
    """The peak memory in GiB of a process in which rwejax runs alone, at the largest size."""
    largest = replace(config, peers=False, sizes=config.sizes[-1:], repetitions=2)
    with multiprocessing.get_context("spawn").Pool(1, rwejax.use_all_cores) as pool:
        return float(pool.apply(measure, (largest,))["peak_memory_gib"])


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


def describe(ours: Rwejax, turns: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """What is said of one size."""
    return {
        "archive": int(ours.state.archive_count),
        "fronts": int(ours.state.rank.max()) + 1,
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
    }


def compare(ours: Rwejax, with_pymoo: bool) -> dict[str, Any]:
    """Check the children, and compare ranks and survivors with pymoo's on the same objectives."""
    children = np.asarray(ours.children(0))
    fitness = ours.objectives(children)
    state, space = ours.state, ours.algorithm.space
    known = np.concatenate([state.codes, state.archive[: state.archive_count]])
    codes = {code.tobytes() for code in np.asarray(encode(space, children))}
    result: Result = {
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


if __name__ == "__main__":
    sys.exit(main(Config, measure))
