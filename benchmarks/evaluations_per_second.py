"""Evaluations per second of the random-weight evaluator against PyTorch, one network after another.

Both sides score the same genomes on the same images with the same kernels, normalisation constants and head, in turns
and in one process. See the README beside this file for what either side is given and what it pays for.
"""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import tyro
from parts.command import require, run
from parts.report import describe_machine, format_spread
from parts.setting import NetworkSetting, title
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Config(NetworkSetting):
    """Time the random-weight evaluator against PyTorch, on this machine's GPU where JAX has one, else on its CPU."""

    train_images: int = 2000
    """Images that the head is fitted on."""
    validation_images: int = 1000
    """Images that the validation error is taken on."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    genomes: int = 40
    """Genomes, drawn at random, no network twice."""
    precision: Literal["float32", "tensorfloat32"] = "float32"
    """Of convolutions on a GPU, on both sides."""
    train_mode: bool = False
    """Time PyTorch with batch statistics as well, a third side in each turn."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 1 where the two sides disagree, 2 where they cannot be run."""
    config = tyro.cli(Config)
    return run(config.output, lambda: measure(config), show)


def measure(config: Config) -> dict[str, Any]:
    """Time both sides."""
    require("torch", "bench")
    from parts import evaluations  # only here, because it needs PyTorch

    return evaluations.measure(config)


def show(result: dict[str, Any]) -> None:
    """Print the results."""
    setting, work, agreement, ours = result["setting"], result["work"], result["agreement"], result["rwejax"]
    console = Console()
    table = Table(title=f"{setting['genomes']} genomes of {title(setting, result['image_shape'])}")
    table.add_column("side")
    for column in "evaluations per second", "GFLOP/s", "share of peak", "rwejax is faster by":
        table.add_column(column, justify="right")
    for name, side in result["sides"].items():
        ratio = result["ratio"].get(f"rwejax / {name}")
        table.add_row(
            name,
            format_spread(side["evaluations_per_second"]),
            format_spread(side["gflops"], 0),
            format_spread({key: 100 * value for key, value in side["share_of_peak"].items()}, 0) + " %",
            format_spread(ratio) if ratio else "",
        )
    console.print(table)

    console.print(f"median (least - largest) of {setting['repetitions']} turns; GFLOP/s as if nothing were shared")
    for name, ratio in result["ratio"].items():
        console.print(f"{name}, by the quickest turn of either: {ratio['of_least_seconds']:.2f}")
    console.print(describe_machine(result))
    console.print(
        f"rwejax: compilation {ours['compile_seconds']:.1f} s, {ours['compilations_after_first_call']} compilations "
        "after the first call"
    )
    heads = result["head_seconds_per_network"]
    console.print("head: " + ", ".join(f"{name} {1e3 * seconds:.1f} ms a network" for name, seconds in heads.items()))
    rows, macs = work["rows"].values(), work["convolution_macs_per_image"]
    console.print(
        f"work: {sum(row['distinct'] for row in rows)} distinct rows of {sum(row['without_sharing'] for row in rows)}, "
        f"{macs['distinct'] / macs['without_sharing']:.0%} of the multiply-adds; "
        f"in {work['programs']} program{'s' * (work['programs'] > 1)}; lowering {1e3 * work['lowering_seconds']:.1f} ms"
    )
    console.print(
        f"agreement: {'holds' if agreement['holds'] else 'BROKEN'}, features of up to "
        f"{agreement['features_largest']:.1f} differ by at most {agreement['features_difference']:.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
