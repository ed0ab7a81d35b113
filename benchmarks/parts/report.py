"""What the benchmarks share: timing a side, and saying what it was timed on."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax


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


def format_spread(values: dict[str, float], digits: int = 2) -> str:
    """Median (least - largest)."""
    return f"{values['median']:.{digits}f} ({values['min']:.{digits}f} - {values['max']:.{digits}f})"


def cpu_model() -> str:
    """The CPU's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_gib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
