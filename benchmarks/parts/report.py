"""What results have in common: times, whether two sides agree, and what was measured when, on what."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rwejax.objectives import RWE_SCORES
from rwejax.runtime.devices import cores
from rwejax.version import __version__

LOAD_BEFORE = os.getloadavg()[0]  # taken here, before this process adds its own
QUIET_LOAD = 0.3
HEADER = "measured_at", "setting", "versions", "machine"
SCORES_TOLERANCE = 1e-3  # relative, for the squared error and the evidence
IMAGES_TOLERANCE = 5  # images that may be classified differently, where two classes score all but equally


@dataclass
class Side:
    """The seconds of one side's repetitions."""

    evaluate: Callable[..., Any]
    seconds: list[float] = field(default_factory=list)

    def time(self, *arguments: Any) -> Any:
        """Run once, and note how long it took."""
        start = time.perf_counter()
        result = self.evaluate(*arguments)
        self.seconds.append(time.perf_counter() - start)
        return result


def count_compilations() -> list[str]:
    """A list that grows by one entry with every compilation from now on."""
    events: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return events


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, least and largest."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def bootstrapped(name: str, draws: np.ndarray, small_is_good: bool = False) -> dict[str, str]:
    """Mean over draws, its 95 % interval by bootstrap over them, and the worst tenth, as columns of a CSV file.

    Args:
        name: of what was measured, with which the names of the columns begin.
        draws: what each gave; of a single one there is no interval.
        small_is_good: whether the worst draws are the largest.
    """
    means = draws[np.random.default_rng(0).integers(len(draws), size=(2000, len(draws)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5]) if len(draws) > 1 else (np.nan, np.nan)
    worst = np.percentile(draws, 90 if small_is_good else 10) if len(draws) > 1 else np.nan
    found = {"": draws.mean(), "_low": low, "_high": high, "_worst_tenth": worst}
    return {f"{name}{suffix}": "" if np.isnan(value) else f"{value:.4f}" for suffix, value in found.items()}


def show(result: dict[str, Any]) -> None:
    """Print every figure of a result, a line each, and what it was measured on."""
    for path, value in figures({name: part for name, part in result.items() if name not in HEADER}):
        print(f"{' '.join(path):<64} {value}")
    print(", ".join(f"{name} {value}" for name, value in result["setting"].items()))
    print(describe_machine(result))


def figures(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The figures of a part of a result, and where they stand; of spreads and lists of turns one figure each."""
    if isinstance(part, dict):
        if {"median", "min", "max"} <= part.keys():
            yield path, "{median:.4g} ({min:.4g} - {max:.4g})".format(**part)
        for name, value in part.items():
            if name not in ("median", "min", "max", "turns"):
                yield from figures(value, (*path, str(name)))
    elif isinstance(part, list) and part and isinstance(part[0], dict):
        for number, value in enumerate(part, 1):
            yield from figures(value, (*path, str(number)))
    elif not isinstance(part, list):
        yield path, f"{part:.4g}" if isinstance(part, float) else str(part)


def compare_seconds(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """How many times faster `rwejax` is, turn by turn."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return {"turns": ratios, **spread(ratios), "of_least_seconds": min(theirs) / min(ours)}


def compare_scores(
    ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], images: int, validation: int
) -> dict[str, Any]:
    """Compare the two sides' scores.

    Args:
        ours: for each name the scores of the genomes.
        theirs: the same.
        images: number of images, those of the validation included.
        validation: number of validation images.
    """
    difference = {name: np.abs(ours[name] - theirs[name]) for name in RWE_SCORES}
    result = {
        "loo_error_images": round(float(difference["loo_error"].max()) / 100 * images),
        "validation_error_images": round(float(difference["validation_error"].max()) / 100 * validation),
        **{
            f"{name}_relative": float((difference[name] / np.abs(ours[name])).max())
            for name in ("loo_squared_error", "log_evidence")
        },
    }
    holds = (
        max(result["loo_error_images"], result["validation_error_images"]) <= IMAGES_TOLERANCE
        and max(result["loo_squared_error_relative"], result["log_evidence_relative"]) < SCORES_TOLERANCE
    )
    return {**result, "holds": bool(holds)}


def header(setting: dict[str, Any], *peers: str, gemm: Sequence[float] = ()) -> dict[str, Any]:
    """What a result begins with.

    Args:
        setting: as the result states it.
        peers: packages that were measured besides.
        gemm: GFLOP/s of matrix products, where they were taken: with the load, they show whether the machine was quiet.
    """
    machine = {
        "cpu": cpu_model(),
        "cores": cores(),
        "jax_devices": [f"{device}, {device.device_kind}" for device in jax.devices()],
        "load_before": LOAD_BEFORE,
    }
    if gemm:
        machine |= {"gemm_gflops_peak": max(gemm), "gemm_gflops_before_each_turn": gemm}
    versions = {name: version(name) for name in ("jax", *peers)}
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": setting,
        "versions": {"rwejax": __version__, **versions, "python": platform.python_version()},
        "machine": machine,
    }


def describe_machine(result: dict[str, Any]) -> str:
    """What a result was measured on, and whether that was quiet, a sentence a line."""
    machine = result["machine"]
    hardware = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_before']:.1f} before the start"
    if accelerators := [device for device in machine["jax_devices"] if "cpu" not in device.lower()]:
        hardware = f"{'; '.join(accelerators)}; {hardware}"
    if "gemm_gflops_peak" in machine:
        worst = min(machine["gemm_gflops_before_each_turn"])
        hardware += f", matrix product {machine['gemm_gflops_peak']:.0f} GFLOP/s ({worst:.0f} before the worst turn)"
    lines = [", ".join(f"{name} {version}" for name, version in result["versions"].items()), hardware]
    if "torch" in result:
        lines.append("PyTorch: {form}, batches of {batch}, {streams} at a time".format(**result["torch"]))
    if machine["load_before"] > QUIET_LOAD:
        lines.append("The machine was busy before the start: take the figures for what they are.")
    return "\n".join(lines)


def cpu_model() -> str:
    """The CPU's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def peak_memory_gib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
