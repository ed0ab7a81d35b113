"""Times whole searches, and PyTorch on their genomes; needs PyTorch."""

import functools
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import torch

from rwejax import data, spaces
from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.objectives import RWE_SCORES
from rwejax.searching.config import SearchConfig
from rwejax.searching.loop import search
from rwejax.searching.observers import PARTS
from rwejax.searching.result import SearchResult

from .report import Side, count_compilations, count_cores, header, peak_memory_gib, spread
from .sides import CALIBRATION_IMAGES, Peer, compare_scores, compare_seconds, gemm_rate
from .watch import Watch
from .work import count_work

if TYPE_CHECKING:
    from ..search_throughput import Config


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


def measure(config: "Config") -> dict[str, Any]:
    """Time searches and PyTorch in turns, and print a sentence after each.

    Raises:
        InputError: the setting cannot be searched with.
    """
    count = config.generations if config.peer_generations is None else config.peer_generations
    if config.repetitions < 1 or config.generations < 2 or not 1 <= count <= config.generations:
        raise InputError(
            f"{config.repetitions} repetitions of {config.generations} generations, {count} of them timed: give 1 or "
            "more repetitions of 2 or more generations, and time 1 or more of them"
        )
    jax.config.update("jax_enable_compilation_cache", False)  # what an earlier process compiled would be a gift
    torch.set_num_threads(count_cores())
    timed = np.unique(np.linspace(0, config.generations - 1, count).round().astype(int)).tolist()
    compilations = count_compilations()
    gemm: list[float] = []
    turns: list[Turn] = []
    scores: dict[int, dict[str, np.ndarray]] = {}
    for number in range(1, config.repetitions + 1):
        gemm.append(gemm_rate())
        watch, found, seconds = run_search(config, compilations)
        if not turns:
            result = found
            genomes = np.split(result.genomes, config.generations)
            dataset, space = config.load(config.space, config.sizes)
            key, _ = jax.random.split(jax.random.key(config.seed))  # as the search splits it
        again = evaluate_again(space, dataset, key, genomes[0])
        if not turns:
            peer = Peer(space, dataset, key, genomes[0])
            members = {generation: peer.build(genomes[generation]) for generation in timed}
        elif not np.array_equal(found.genomes, result.genomes):
            raise InputError(f"search {number} asked for other genomes than the first: its config does not settle them")
        sides = {generation: Side(functools.partial(peer.evaluate, members[generation])) for generation in timed}
        scores = {generation: side.time()[1] for generation, side in sides.items()}
        turns.append(Turn(watch, seconds, again, {generation: side.seconds[0] for generation, side in sides.items()}))
        print(
            f"turn {number} of {config.repetitions}: search {seconds:.0f} s, "
            f"PyTorch {sum(turns[-1].peer.values()):.0f} s for {len(timed)} generations",
            flush=True,
        )

    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES)
    work = [count_work(evaluator, population) for population in genomes]
    rows = [generation * config.population_size + row for generation in timed for row in range(config.population_size)]
    recorded = {name: np.array([result.evaluations[row].scores[name] for row in rows]) for name in RWE_SCORES}
    peer_scores = {name: np.concatenate([scores[generation][name] for generation in timed]) for name in RWE_SCORES}
    macs = np.array([evaluation.macs for evaluation in result.evaluations], float)
    scale = len(result.genomes) / len(rows)
    theirs = [scale * sum(turn.peer.values()) for turn in turns]
    return {
        **header(config.recorded, "torch", gemm=gemm),
        "image_shape": dataset.image_shape,
        "rwejax": describe_searches(turns, config.population_size),
        "torch": {
            **peer.description,
            "timed_generations": [generation + 1 for generation in timed],
            "timed_evaluations": len(rows),
            "timed_share_of_multiply_adds": float(macs[rows].sum() / macs.sum()),
            "scale": scale,
            "timed_seconds": [sum(turn.peer.values()) for turn in turns],
            "seconds": spread(theirs),
        },
        "ratio": {
            "whole": compare_seconds([turn.seconds for turn in turns], theirs),
            "without_compilation": compare_seconds([turn.seconds - turn.compile_seconds for turn in turns], theirs),
        },
        "generations": [
            {
                **describe_generation(turns, generation, config.population_size),
                "macs_millions": float(macs.reshape(config.generations, -1)[generation].mean() / 1e6),
                "multiply_adds_left": left["distinct"] / left["without_sharing"],
                "programs": work[generation]["programs"],
            }
            for generation, left in enumerate(each["convolution_macs_per_image"] for each in work)
        ],
        "agreement": compare_scores(
            recorded, peer_scores, config.train_images + config.validation_images, config.validation_images
        ),
        "peak_memory_gib": peak_memory_gib(),
    }


def run_search(config: "Config", compilations: Sequence[str]) -> tuple[Watch, SearchResult, float]:
    """A whole search from its config to its figure, which compiles everything anew; its watch, result and seconds."""
    settings = SearchConfig(
        space=config.space,
        **config.sizes,
        dataset=config.dataset,
        data_dir=config.data_dir,
        image_size=config.image_size,
        train_images=config.train_images,
        validation_images=config.validation_images,
        population_size=config.population_size,
        generations=config.generations,
        seed=config.seed,
        estimator="rwe",
        calibration_images=CALIBRATION_IMAGES,
    )
    jax.clear_caches()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(compilations)
        start = time.perf_counter()
        result = search(replace(settings, run_dir=Path(folder) / "run"), [watch])
        return watch, result, time.perf_counter() - start


def evaluate_again(space: spaces.Space, dataset: data.Dataset, key: jax.Array, genomes: np.ndarray) -> float:
    """Seconds of an evaluation without compilation; its maps, which are gigabytes, go before PyTorch is timed."""
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES)
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
