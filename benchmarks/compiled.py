"""What a population's pass would launch on an accelerator that is not here, by that accelerator's own compiler.

Nothing is run and nothing is timed. The program of a population is data, so that it is known how often each loop of the
compiled code turns and which branch it takes: kernels, decisions and estimates are those of this population.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # JAX reads it when it is imported

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from parts.command import Result, run, start
from parts.compilers import Target, check_compiler, compile_exported, compiler_versions
from parts.hlo import Module, Schedule
from parts.lowered import LOWERINGS
from parts.report import header
from parts.schedule import UNKNOWN, PopulationSchedule, chunks_of

from rwejax import spaces
from rwejax.data import Dataset
from rwejax.data.images import Split
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.forward import ForwardPass
from rwejax.evaluate.scoring import PopulationScorer

CLASSES = 10
MAPS = 4  # the argument of the pass that it may write over
MESSAGE = 400  # characters of a compiler's refusal


@dataclass(frozen=True)
class Config:
    """Compile the pass of a population for an H100 or for one chip of a TPU v5e."""

    platform: Literal["cuda", "tpu"] = "cuda"
    """Whose compiler."""
    space: str = "macro"
    """Name of a search space, of a search's sizes."""
    estimator: str | None = None
    """One that looks forwards; by default the space's own."""
    genomes: int = 40
    """Genomes of the population, drawn at random."""
    images: int = 3000
    """Two thirds of them to fit heads on. Only their number counts, so they are empty."""
    image_size: int = 32
    """Height and width in pixels."""
    nodes: int | None = None
    """macro: nodes of a phase."""
    layers: int | None = None
    """micro, darts: cells of the network."""
    cells: int | None = None
    """nasbench201: cells of a stage."""
    channels: int | None = None
    """Channels of the first maps."""
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """Of the networks."""
    rest: bool = False
    """Compile what is called beside the pass instead: a generation of NSGA-II, and trainings."""
    seed: int = 0
    """Draws the genomes."""
    output: Path | None = None
    """JSON file for the results."""

    dataset = "none"

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        return spaces.sizes_of(self)

    @property
    def recorded(self) -> dict[str, Any]:
        """The setting as a result states it."""
        left_out = "output", "rest", *["estimator"] * self.rest, "nodes", "layers", "cells", "channels"
        return {name: value for name, value in asdict(self).items() if name not in left_out} | self.sizes


def measure(config: Config) -> Result:
    """Compile the functions that a generation calls, and count what this population makes of them.

    Raises:
        InputError: there is no such compiler here, or the setting cannot be compiled.
    """
    target = check_compiler(config.platform)
    jax.config.update("jax_enable_compilation_cache", False)  # how long a compilation takes is told, too
    if config.genomes < 1 or config.images < 6:
        raise InputError("give 1 genome or more, and 6 images or more")
    dataset = empty_images(config)
    space = spaces.get(config.space, input_shape=dataset.image_shape, classes=CLASSES, **config.sizes)
    estimator = config.estimator or space.default_estimator
    if estimator not in estimators.FORWARD:
        raise InputError(f"estimator {estimator!r} needs more than a pass: choose {', '.join(estimators.FORWARD)}")
    if config.rest:
        drawn = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(config.seed), config.genomes))))
        return described(config, target) | {
            "functions": {
                name: count(target, config.platform, lower(space, dataset, drawn, config.platform), [UNKNOWN])
                for name, lower in LOWERINGS.items()
            }
        }
    options = {"kind": target.kind, "precision": config.precision, "devices": jax.devices()[:1]}
    forward = PopulationScorer(space, dataset, (estimator,), 1, **options).forward
    assert forward is not None
    drawn = np.asarray(space.sample(jax.random.key(config.seed), config.genomes))
    genomes = np.asarray(space.canonical(drawn))
    evaluate = forward.export(config.genomes, [config.platform])
    programs = list(forward.programs(genomes))
    schedules = [
        PopulationSchedule(forward.network, program, target.kind, forward.heads_at_once) for _, program, _ in programs
    ]
    return described(config, target, estimator=estimator) | {
        "population": describe_population(forward, genomes, programs),
        "functions": {
            "pass": count(target, config.platform, evaluate, schedules, donated=(MAPS,)),
            "kernels drawn": count(target, config.platform, forward.export_kernels([config.platform]), schedules[:1]),
        },
    }


def described(config: Config, target: Target, **setting: Any) -> Result:
    """What a result begins with."""
    whole = header({**config.recorded, **setting})
    versions = whole["versions"] | compiler_versions(config.platform)
    return {**whole, "versions": versions, "device": asdict(target.kind)}


def empty_images(config: Config) -> Dataset:
    """Images and labels of the right shapes."""
    train = config.images * 2 // 3
    images = np.zeros((config.images, config.image_size, config.image_size, 3), np.float32)
    labels = np.arange(config.images, dtype=np.int32) % CLASSES
    return Dataset(
        name=config.dataset,
        train_images=images[:train],
        train_labels=labels[:train],
        validation_images=images[train:],
        validation_labels=labels[train:],
        class_names=tuple(map(str, range(CLASSES))),
        fingerprint="",
        mean=np.zeros(3, np.float32),
        std=np.ones(3, np.float32),
        test_count=0,
        left_out="",
        _read_test=lambda: Split(images[:0], labels[:0]),
    )


def describe_population(forward: ForwardPass, genomes: np.ndarray, programs: Sequence[Any]) -> dict[str, Any]:
    """Programs, rows and chunks, and the share of what chunks compute that is padding."""
    sizes = forward.chunk_sizes
    tables = {group.name: [program.rows[group.name] for _, program, _ in programs] for group in forward.network.groups}
    rows = {name: sum(int(each.begin[each.chunks]) for each in found) for name, found in tables.items()}
    chunks = {
        size: sum(len(chunks_of(each, sizes, size).kind) for found in tables.values() for each in found)
        for size in sizes
    }
    return {
        "programs": len(programs),
        "genomes_per_program": forward.genomes_per_program,
        "heads_at_once": forward.heads_at_once,
        "first_images": len(forward.images.first),
        "batches_of_images": list(forward.images.batches.shape[:2]),
        "rows": rows,
        "chunks": chunks,
        "padding_percent": 100 - 100 * sum(rows.values()) / sum(size * count for size, count in chunks.items()),
    }


def count(
    target: Target,
    platform: str,
    exported: jax.export.Exported,
    schedules: Sequence[Schedule],
    donated: tuple[int, ...] = (),
) -> dict[str, Any]:
    """What calls of a function take, one for each schedule; or what the compiler says against it."""
    unpadded = sum(each.size * each.dtype.itemsize for each in exported.in_avals)
    begun = time.perf_counter()
    try:
        compiled = compile_exported(exported, platform, donated)
    except jax.errors.JaxRuntimeError as error:
        said = " ".join(str(error).split())
        return {"calls": len(schedules), "does_not_compile": said[:MESSAGE], "unpadded_argument_bytes": unpadded}
    seconds = time.perf_counter() - begun
    module, memory = Module(compiled.as_text()), compiled.memory_analysis()
    runs = [module.run(schedule, "/heads") for schedule in schedules]
    kernels = sum((each.kernels for each in runs), Counter())
    found = {
        "calls": len(schedules),
        "compile_seconds": seconds,
        "kernels": round(kernels.total()),
        "kernels_of_heads": round(sum(each.inside for each in runs)),
        "turns_decided": round(sum(each.turns for each in runs)),
        "branches_decided": round(sum(each.branches for each in runs)),
        "argument_bytes": memory.argument_size_in_bytes,
        "unpadded_argument_bytes": unpadded,
        "temporary_bytes": memory.temp_size_in_bytes,
        "code_bytes": memory.generated_code_size_in_bytes,
        "share_of_memory": held(memory) / target.kind.memory,
        "kernels_by_operation": {name: round(times) for name, times in kernels.most_common()},
        "guessed": sorted(set().union(*(each.guessed for each in runs))),
    }
    if target.clock:
        found["estimated_seconds"] = sum(each.cycles for each in runs) / target.clock
        found["kernels_without_estimate"] = round(sum(each.without_estimate for each in runs))
        found["written_bytes"] = round(sum(each.written for each in runs))
        found["padded_written_bytes"] = round(sum(each.padded for each in runs))
    return found


def held(memory: Any) -> int:
    """Bytes that a call holds: results lie where arguments were donated."""
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + results + memory.temp_size_in_bytes + memory.generated_code_size_in_bytes


def show(result: Result) -> None:
    """Print the table, and what was compiled with what."""
    print(", ".join(f"{name} {value}" for name, value in result["setting"].items()))
    print(result["device"]["name"] + (of_population(result["population"]) if "population" in result else ""))
    for name, function in result["functions"].items():
        print(f"\n{name}, {function['calls']} calls")
        for key, value in function.items():
            if isinstance(value, dict):
                value = ", ".join(f"{count} {each}" for each, count in value.items())
            print(f"  {key:<26} {value:.4g}" if isinstance(value, float) else f"  {key:<26} {value}")
    print()
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))


def of_population(population: dict[str, Any]) -> str:
    """Programs, rows and chunks in words."""
    chunks = ", ".join(f"{count} chunks of {size}" for size, count in population["chunks"].items())
    return (
        f": {population['programs']} programs of {population['genomes_per_program']} genomes at most, "
        f"{sum(population['rows'].values())} rows in {chunks}, {population['padding_percent']:.0f} % padding"
    )


if __name__ == "__main__":
    sys.exit(start(Config, lambda config: run(config.output, lambda: measure(config), show)))
