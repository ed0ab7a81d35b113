"""What the benchmarks say of a machine and of their times."""

import platform
import statistics
from pathlib import Path
from typing import Any


def spread(values: Any) -> dict[str, float]:
    """Median, least and largest."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cpu_model() -> str:
    """The CPU's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
