"""Seconds a generation of NSGA-II takes, evaluation left out: rwejax against pymoo, and EvoX where it is installed.

All sides choose among the same macro genomes and make children of them, in turns and in one process. See the README
beside this file for what either side is given.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure
from parts.command import run
from parts.report import describe_machine, format_spread
from parts.selection_measure import measure
from rich.console import Console
from rich.table import Table

from rwejax import plots


@dataclass(frozen=True)
class Config:
    """Time one generation of NSGA-II on this machine's CPU."""

    sizes: tuple[int, ...] = (100, 300, 1000, 3000, 10000)
    """Population sizes, ascending."""
    generations: int = 10
    """Generations of the search that the one to time is the last of: so many populations does the archive hold."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    limit: float = 60.0
    """Seconds of one generation from which a side is left out; judged by the smaller sizes, for time quadratic in n."""
    peers: bool = True
    """Time the other libraries as well."""
    seed: int = 0
    """Draws the objectives, the first population and the children."""
    output: Path | None = None
    """JSON file for the results; a plot is put beside it, as PNG."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 1 where the sides disagree, 2 where they cannot be run."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), show, plot)


def show(result: dict[str, Any]) -> None:
    """Print the results."""
    console = Console()
    table = Table(title=f"a generation, the {result['setting']['generations']}th of a search of the macro space")
    names = list(next(iter(result["sizes"].values()))["sides"])
    for column in ("n", *(f"{name}, ms" for name in names), *(f"{name} / rwejax" for name in names[1:])):
        table.add_column(column, justify="right")
    for n, row in result["sizes"].items():
        times = [format_ms(row["sides"][name]["generation"]) if name in row["sides"] else "" for name in names]
        ratios = [row["ratio"].get(f"rwejax / {name}") for name in names[1:]]
        table.add_row(n, *times, *(format_spread(ratio, 0) if ratio else "" for ratio in ratios))
    console.print(table)

    parts = Table(title="rwejax: the parts of a generation, ms")
    parts.add_column("part")
    for n in result["sizes"]:
        parts.add_column(f"n = {n}", justify="right")
    for name in "ask", "tell":
        parts.add_row(name, *(format_ms(row["sides"]["rwejax, two calls"][name]) for row in result["sizes"].values()))
    for name in next(iter(result["sizes"].values()))["rwejax_parts"]:
        parts.add_row(name, *(format_ms(row["rwejax_parts"][name]) for row in result["sizes"].values()))
    console.print(parts)

    console.print(f"median (least - largest) of {result['setting']['repetitions']} turns")
    first = [row["rwejax_first_call_seconds"] for row in result["sizes"].values()]
    console.print(f"rwejax: first call, compilation included, {min(first):.1f} to {max(first):.1f} s")
    alone = result["rwejax_alone"]
    if alone is not None:
        console.print(f"rwejax alone, n = {alone['n']}: peak memory {alone['peak_memory_gib']:.2f} GiB")
    console.print(describe_machine(result))
    for n, row in result["sizes"].items():
        if not row["agreement"]["holds"]:
            console.print(f"agreement: BROKEN at n = {n}: {row['agreement']}")


def format_ms(seconds: dict[str, Any]) -> str:
    """A spread in ms."""
    values = {name: 1e3 * seconds[name] for name in ("median", "min", "max")}
    return format_spread(values, 2 if values["median"] < 100 else 0)


def plot(result: dict[str, Any], figure: Figure) -> None:
    """Draw seconds against the population size, both in logarithms."""
    axes = figure.add_subplot()
    styles = {
        "rwejax": (plots._FRONT, "o"),
        "rwejax, two calls": (plots._FRONT, "v"),
        "pymoo": (plots._INK, "s"),
        "evox": (plots._QUIET, "^"),
    }
    for name in next(iter(result["sizes"].values()))["sides"]:
        rows = {int(n): row["sides"][name]["generation"] for n, row in result["sizes"].items() if name in row["sides"]}
        color, marker = styles[name]
        low, high = ([row[end] for row in rows.values()] for end in ("min", "max"))
        axes.fill_between(list(rows), low, high, color=color, alpha=0.2, linewidth=0)
        middle = [row["median"] for row in rows.values()]
        axes.plot(list(rows), middle, color=color, marker=marker, markersize=5, linewidth=1.4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("population size", color=plots._INK)
    axes.set_ylabel("seconds a generation, evaluation left out", color=plots._INK)
    axes.legend(labelcolor=plots._INK, edgecolor="none", framealpha=1.0)
    plots._frame(axes, f"NSGA-II, macro space, {result['machine']['cpu']}")


if __name__ == "__main__":
    sys.exit(main())
