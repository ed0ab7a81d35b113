"""Evaluations per second of the random-weight evaluator against PyTorch, one network after another, on a CPU.

Both sides score the same genomes on the same images with the same kernels, normalisation constants and head, in turns
and in one process. See the README beside this file for what either side is given and what it pays for.
"""

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import tyro
from parts.report import format_spread
from parts.setting import Setting, describe_machine, title
from rich.console import Console
from rich.table import Table

from rwejax.errors import InputError
from rwejax.parallel import use_all_cores


@dataclass(frozen=True)
class Config(Setting):
    """Time the random-weight evaluator against PyTorch on this machine's CPU."""

    genomes: int = 40
    """Genomes, drawn at random, no network twice."""
    train_mode: bool = False
    """Time PyTorch with batch statistics as well, a third side in each turn."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 1 where the two sides disagree, 2 where they cannot be run."""
    config = tyro.cli(Config)
    if config.refusal is not None:
        print(config.refusal, file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    use_all_cores()
    from parts.evaluations import measure  # only here, because it needs PyTorch

    try:
        result = measure(config, load)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    if config.output is not None:
        config.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["agreement"]["holds"] else 1


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
    for line in describe_machine(result):
        console.print(line)
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
