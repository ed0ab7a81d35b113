"""Seconds a generation of NSGA-II takes, evaluation left out: rwejax against pymoo, and EvoX where it is installed.

All sides choose among the same macro genomes and make children of them, in turns and in one process. See the README
beside this file for what either side is given.
"""

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from parts.report import format_spread
from parts.selection_measure import measure
from rich.console import Console
from rich.table import Table

from rwejax.files import replacing

QUIET_LOAD = 0.3


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
    if not config.sizes or min(*config.sizes, config.generations, config.repetitions) < 2:
        print("sizes, generations and repetitions are counts: give 2 or more of each", file=sys.stderr)
        return 2
    if config.output is not None and not config.output.absolute().parent.is_dir():
        print(f"output {str(config.output)!r} lies in a folder that does not exist: make it first", file=sys.stderr)
        return 2
    if config.peers and importlib.util.find_spec("pymoo") is None:
        print("pymoo is missing, the side to compare with: pip install 'rwejax[dev]', or --no-peers", file=sys.stderr)
        return 2
    result = measure(config, os.getloadavg()[0])
    show(result)
    if config.output is not None:
        config.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        plot(result, config.output.with_suffix(".png"))
    return 0 if all(row["agreement"]["holds"] for row in result["sizes"].values()) else 1


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
        parts.add_row(name, *(format_ms(row["sides"]["rwejax"][name]) for row in result["sizes"].values()))
    for name in next(iter(result["sizes"].values()))["rwejax_parts"]:
        parts.add_row(name, *(format_ms(row["rwejax_parts"][name]) for row in result["sizes"].values()))
    console.print(parts)

    console.print(f"median (least - largest) of {result['setting']['repetitions']} turns")
    first = [sum(row["rwejax_first_call_seconds"].values()) for row in result["sizes"].values()]
    console.print(f"rwejax: first ask and tell, compilation included, {min(first):.1f} to {max(first):.1f} s")
    alone = result["rwejax_alone"]
    if alone is not None:
        console.print(f"rwejax alone, n = {alone['n']}: peak memory {alone['peak_memory_gib']:.2f} GiB")
    machine = result["machine"]
    console.print(", ".join(f"{name} {found}" for name, found in result["versions"].items()))
    console.print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_before']:.1f} before the start")
    for n, row in result["sizes"].items():
        if not row["agreement"]["holds"]:
            console.print(f"agreement: BROKEN at n = {n}: {row['agreement']}")
    if machine["load_before"] > QUIET_LOAD:
        console.print("The machine was busy before the start: all sides suffer from that.")


def format_ms(seconds: dict[str, Any]) -> str:
    """A spread in ms."""
    values = {name: 1e3 * seconds[name] for name in ("median", "min", "max")}
    return format_spread(values, 2 if values["median"] < 100 else 0)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw seconds against the population size, both in logarithms."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    styles = {"rwejax": ("#c2410c", "o"), "pymoo": ("#1f2933", "s"), "evox": ("#8a94a0", "^")}
    for name in next(iter(result["sizes"].values()))["sides"]:
        rows = {int(n): row["sides"][name]["generation"] for n, row in result["sizes"].items() if name in row["sides"]}
        color, marker = styles[name]
        low, high = ([row[end] for row in rows.values()] for end in ("min", "max"))
        axes.fill_between(list(rows), low, high, color=color, alpha=0.2, linewidth=0)
        middle = [row["median"] for row in rows.values()]
        axes.plot(list(rows), middle, color=color, marker=marker, markersize=5, linewidth=1.4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("population size")
    axes.set_ylabel("seconds a generation, evaluation left out")
    axes.set_title(f"NSGA-II, macro space, {result['machine']['cpu']}", loc="left", fontsize=11)
    axes.grid(color="#e6e9ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(edgecolor="none")
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=160)


if __name__ == "__main__":
    sys.exit(main())
