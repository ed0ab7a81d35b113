"""A whole search by `rwejax.search` against PyTorch, which is given the same genomes, one network after another.

The search is a real one: it compiles, evolves, and records everything in a run folder. PyTorch only evaluates what it
asked for, generation by generation, with the same images, kernels, normalisation constants and head. See the README
beside this file for what either side is given and what it pays for.
"""

import sys
from dataclasses import dataclass
from typing import Any

import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from parts.command import require, run
from parts.report import describe_machine, format_spread
from parts.setting import NetworkSetting, title
from rich.console import Console
from rich.table import Table

from rwejax.figures import FRONT, INK, frame


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


def main() -> int:
    """Measure, print, write. Returns the exit code: 1 where the two sides disagree, 2 where they cannot be run."""
    config = tyro.cli(Config)
    return run(config.output, lambda: measure(config), show, plot)


def measure(config: Config) -> dict[str, Any]:
    """Time both sides."""
    require("torch", "bench")
    from parts import searches  # only here, because it needs PyTorch

    return searches.measure(config)


def show(result: dict[str, Any]) -> None:
    """Print the results."""
    console = Console()
    setting, ours, theirs, ratio = result["setting"], result["rwejax"], result["torch"], result["ratio"]
    evaluations, agreement = setting["population_size"] * setting["generations"], result["agreement"]
    table = Table(title=f"{evaluations} evaluations of {title(setting, result['image_shape'])}")
    table.add_column("side")
    for column in "seconds", "evaluations per second":
        table.add_column(column, justify="right")
    scaled = "" if theirs["timed_evaluations"] == evaluations else f", from {theirs['timed_evaluations']} evaluations"
    for name, seconds in {
        "rwejax, whole search": ours["seconds"],
        "rwejax, without compilation": ours["seconds_without_compilation"],
        f"torch{scaled}": theirs["seconds"],
    }.items():
        rates = {"median": "median", "min": "max", "max": "min"}
        table.add_row(
            name,
            format_spread(seconds, 1),
            format_spread({name: evaluations / seconds[other] for name, other in rates.items()}),
        )
    console.print(table)
    console.print(f"median (least - largest) of {setting['repetitions']} turns")
    for name, compilation in ("whole", "compilation included"), ("without_compilation", "without compilation"):
        console.print(
            f"rwejax is faster by {format_spread(ratio[name])}, {compilation}; "
            f"by the quickest turn of either {ratio[name]['of_least_seconds']:.2f}"
        )

    table = Table("generation", title="evaluations per second, generation by generation")
    for column in "rwejax", "torch", "multiply-adds left", "outside evaluation":
        table.add_column(column, justify="right")
    for number, each in enumerate(result["generations"], 1):
        rate = each.get("torch_evaluations_per_second")
        table.add_row(
            f"{number}, without compilation" if number == 1 else str(number),
            format_spread(each["evaluations_per_second"]),
            format_spread(rate) if rate else "",
            f"{each['multiply_adds_left']:.0%}",
            f"{each['overhead_percent']['median']:.1f} %" if number > 1 else "",
        )
    console.print(table)
    seconds, overhead = ours["parts"], ours["overhead_percent"]
    console.print(
        f"outside evaluation {format_spread(overhead, 1)} % of a generation after the first: "
        + ", ".join(f"{name} {1e3 * value['median']:.0f} ms" for name, value in seconds.items() if name != "evaluation")
    )
    console.print(
        f"compilation {format_spread(ours['compile_seconds'], 1)} s; before the first generation "
        f"{format_spread(ours['setup_seconds'], 1)} s, after the last {format_spread(ours['finish_seconds'], 1)} s"
    )
    console.print(describe_machine(result))
    console.print(
        f"agreement: {'holds' if agreement['holds'] else 'BROKEN'}, errors differ by at most "
        f"{max(agreement['loo_error_images'], agreement['validation_error_images'])} images"
    )


def plot(result: dict[str, Any], figure: Figure) -> None:
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
    sys.exit(main())
