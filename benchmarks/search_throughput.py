"""A whole search by `rwejax.search` against PyTorch, which is given the same genomes, one network after another.

The search is a real one: it compiles, evolves, and records everything in a run folder. PyTorch only evaluates what it
asked for, generation by generation, with the same images, kernels, normalisation constants and head. See the README
beside this file for what either side is given and what it pays for.
"""

import functools
import sys
from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from parts.command import Result, main, require
from parts.report import (
    Side,
    compare_scores,
    compare_seconds,
    count_compilations,
    header,
    peak_memory_gib,
    spread,
)
from parts.searches import Turn, describe_generation, describe_searches, evaluate_again, run_search
from parts.setting import NetworkSetting, title
from parts.work import count_work

from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.figures import FRONT, INK, frame
from rwejax.objectives import RWE_SCORES
from rwejax.searching.config import SearchConfig


@dataclass(frozen=True)
class Config(NetworkSetting):
    """Time a whole search against PyTorch on this machine's CPU."""

    population_size: int = 40
    """Genomes of a generation."""
    generations: int = 10
    """Generations, the first population counted as one."""
    peer_generations: int | None = None
    """Generations that PyTorch is timed on, spread over the search; what they take an evaluation then stands for all
    generations. By default every generation is timed."""
    repetitions: int = 5
    """Times that the same search and PyTorch are timed, in turns."""

    def search(self, calibration_images: int) -> SearchConfig:
        """The search that is timed."""
        return SearchConfig(
            space=self.space,
            **self.sizes,
            dataset=self.dataset,
            data_dir=self.data_dir,
            image_size=self.image_size,
            train_images=self.train_images,
            validation_images=self.validation_images,
            population_size=self.population_size,
            generations=self.generations,
            seed=self.seed,
            estimator="rwe",
            training_minutes=0,
            calibration_images=calibration_images,
        )


def measure(config: Config) -> Result:
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
    require("torch", "bench")
    from parts.peer import CALIBRATION_IMAGES, Peer, gemm_rate

    settings = config.search(CALIBRATION_IMAGES)
    jax.config.update("jax_enable_compilation_cache", False)  # what an earlier process compiled would be a gift
    timed = np.unique(np.linspace(0, config.generations - 1, count).round().astype(int)).tolist()
    compilations = count_compilations()
    gemm: list[float] = []
    turns: list[Turn] = []
    scores: dict[int, dict[str, np.ndarray]] = {}
    for number in range(1, config.repetitions + 1):
        gemm.append(gemm_rate())
        watch, found, seconds = run_search(settings, compilations)
        if not turns:
            result = found
            genomes = np.split(result.genomes, config.generations)
            dataset, space = config.load(config.space, config.sizes)
            key, _ = jax.random.split(jax.random.key(config.seed))  # as the search splits it
        # The evaluator's maps, which are gigabytes, go before PyTorch is timed.
        evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES)
        again = evaluate_again(evaluator, key, genomes[0])
        del evaluator
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


def plot(result: Result, figure: Figure) -> None:
    """Draw evaluations per second over generations: the medians of either side, and bands from least to largest."""
    axes, generations = figure.add_subplot(), result["generations"]
    ours = {number: each["evaluations_per_second"] for number, each in enumerate(generations, 1)}
    theirs = {
        number: each["torch_evaluations_per_second"]
        for number, each in enumerate(generations, 1)
        if "torch_evaluations_per_second" in each
    }
    for name, colour, rates in ("rwejax", FRONT, ours), ("PyTorch", INK, theirs):
        low, middle, high = ([rate[key] for rate in rates.values()] for key in ("min", "median", "max"))
        axes.fill_between(list(rates), low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
        axes.plot(list(rates), middle, color=colour, linewidth=1.4, marker="o", markersize=4, label=name, zorder=3)
    compiling = result["rwejax"]["first_generation_evaluations_per_second"]["median"]
    axes.plot(
        [1],
        [compiling],
        "o",
        markersize=5,
        markerfacecolor="white",
        color=FRONT,
        label="with compilation",
        zorder=4,
    )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("generation", color=INK)
    axes.set_ylabel("evaluations per second", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(labelcolor=INK, edgecolor="none", framealpha=1.0)
    frame(axes, title(result["setting"], result["image_shape"]))


if __name__ == "__main__":
    sys.exit(main(Config, measure, plot))
