"""Whole searches, and where their time goes."""

import functools
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.searching.config import SearchConfig
from rwejax.searching.loop import search
from rwejax.searching.observers import PARTS, Progress, SearchObserver
from rwejax.searching.result import SearchResult

from .report import Side, spread


class Watch(SearchObserver):
    """Where the time of one search goes, from the moment that this is made.

    Attributes:
        setup: seconds before the first generation.
        generations: for each generation the seconds of each of `rwejax.searching.observers.PARTS`.
        compiled: for each generation the compilations until its end.
    """

    def __init__(self, compilations: Sequence[str]) -> None:
        self.setup = 0.0
        self.generations: list[dict[str, float]] = []
        self.compiled: list[int] = []
        self._compilations, self._start = compilations, time.perf_counter()

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """The first generation begins."""
        self.setup = time.perf_counter() - self._start

    def on_generation(self, progress: Progress) -> None:
        """A generation ends."""
        self.generations.append(dict(progress.parts))
        self.compiled.append(len(self._compilations))


@dataclass
class Turn:
    """One search, its seconds, and the seconds of PyTorch on each generation that it was timed on."""

    watch: Watch
    seconds: float
    again: float
    peer: dict[int, float]

    @property
    def totals(self) -> list[float]:
        """Seconds of each generation."""
        return [sum(parts.values()) for parts in self.watch.generations]

    @property
    def outside(self) -> list[float]:
        """Seconds of each generation that are not the compiled evaluation's."""
        return [sum(parts.values()) - parts["evaluation"] for parts in self.watch.generations]

    @property
    def compile_seconds(self) -> float:
        """What the first generation took beyond its evaluation, compiled, and what later ones take besides theirs.

        Recording is no part of that: what a generation writes counts in the next one.
        """
        besides = (
            sum(parts.values()) - sum(parts[name] for name in ("evaluation", "planning", "recording"))
            for parts in self.watch.generations[1:]
        )
        return self.totals[0] - self.again - statistics.median(besides)

    @property
    def steady(self) -> list[float]:
        """Seconds of each generation without compilation."""
        return [self.totals[0] - self.compile_seconds, *self.totals[1:]]


def run_search(settings: SearchConfig, compilations: Sequence[str]) -> tuple[Watch, SearchResult, float]:
    """A whole search from its config to its figure, which compiles everything anew; its watch, result and seconds."""
    jax.clear_caches()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(compilations)
        start = time.perf_counter()
        result = search(replace(settings, run_dir=Path(folder) / "run"), [watch])
        return watch, result, time.perf_counter() - start


def evaluate_again(evaluator: RandomWeightEvaluator, key: jax.Array, genomes: np.ndarray) -> float:
    """Seconds of an evaluation without compilation."""
    side = Side(functools.partial(evaluator, key, genomes))
    side.time()  # compiles
    side.time()
    return side.seconds[1]


def describe_searches(turns: Sequence[Turn], population_size: int) -> dict[str, Any]:
    """What the searches took; parts and overhead are those of the generations after the first, which compiles."""
    later = {
        name: [statistics.mean(parts[name] for parts in turn.watch.generations[1:]) for turn in turns] for name in PARTS
    }
    return {
        "turns": [turn.seconds for turn in turns],
        "seconds": spread(turn.seconds for turn in turns),
        "seconds_without_compilation": spread(turn.seconds - turn.compile_seconds for turn in turns),
        "compile_seconds": spread(turn.compile_seconds for turn in turns),
        "compilations_after_first_generation": max(turn.watch.compiled[-1] - turn.watch.compiled[0] for turn in turns),
        "setup_seconds": spread(turn.watch.setup for turn in turns),
        "finish_seconds": spread(turn.seconds - turn.watch.setup - sum(turn.totals) for turn in turns),
        "first_generation_evaluations_per_second": spread(population_size / turn.totals[0] for turn in turns),
        "overhead_percent": spread(100 * sum(turn.outside[1:]) / sum(turn.totals[1:]) for turn in turns),
        "parts": {name: spread(seconds) for name, seconds in later.items()},
    }


def describe_generation(turns: Sequence[Turn], generation: int, population_size: int) -> dict[str, Any]:
    """Evaluations per second of either side in a generation, counted from 0, and what ours spends on other things."""
    described = {
        "evaluations_per_second": spread(population_size / turn.steady[generation] for turn in turns),
        "overhead_percent": spread(100 * turn.outside[generation] / turn.totals[generation] for turn in turns),
    }
    if generation in turns[0].peer:
        rates = (population_size / turn.peer[generation] for turn in turns)
        described["torch_evaluations_per_second"] = spread(rates)
    return described
