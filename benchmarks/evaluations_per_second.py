"""Evaluations per second of the random-weight evaluator against PyTorch, one network after another, on a CPU.

Both sides score the same macro genomes on the same images with the same kernels, normalisation constants and head, in
turns and in one process. See the README beside this file for what either side is given and what it pays for.
"""

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from report import format_spread
from rich.console import Console
from rich.table import Table

from rwejax.errors import InputError
from rwejax.parallel import use_all_cores

QUIET_LOAD = 0.3


@dataclass(frozen=True)
class Config:
    """Time the random-weight evaluator against PyTorch on this machine's CPU."""

    genomes: int = 40
    """Macro genomes, drawn at random, no network twice."""
    nodes: int = 6
    """Nodes of a phase."""
    channels: int = 16
    """Channels of the first phase."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int | None = None
    """Height and width to resize to; by default the dataset's."""
    train_images: int = 2000
    """Images that the head is fitted on."""
    validation_images: int = 1000
    """Images that the validation error is taken on."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    train_mode: bool = False
    """Time PyTorch with batch statistics as well, a third side in each turn."""
    seed: int = 0
    """Draws the genomes, the kernels and the images."""
    output: Path | None = None
    """JSON file for the results."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 1 where the two sides disagree, 2 where they cannot be run."""
    config = tyro.cli(Config)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is missing, the side to compare with: pip install 'rwejax[bench]'", file=sys.stderr)
        return 2
    if config.output is not None and not config.output.absolute().parent.is_dir():
        print(f"output {str(config.output)!r} lies in a folder that does not exist: make it first", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    use_all_cores()
    from measure import measure  # only here, because it needs PyTorch

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
    setting, machine, versions = result["setting"], result["machine"], result["versions"]
    work, agreement, ours = result["work"], result["agreement"], result["rwejax"]
    console = Console()
    height, width, _ = result["image_shape"]
    table = Table(
        title=f"macro, K = {setting['nodes']}, C = {setting['channels']}: {setting['genomes']} genomes, "
        f"{setting['train_images']} + {setting['validation_images']} images of {setting['dataset']}, {height} x {width}"
    )
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
    console.print(", ".join(f"{name} {version}" for name, version in versions.items()))
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, matrix product {machine['gemm_gflops_peak']:.0f} GFLOP/s "
        f"({min(machine['gemm_gflops_before_each_turn']):.0f} before the worst turn), "
        f"load {machine['load_before']:.1f} before the start"
    )
    console.print(f"PyTorch: {result['torch']['form']}, batch {result['torch']['batch']}")
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
        f"lowering {1e3 * work['lowering_seconds']:.1f} ms"
    )
    console.print(
        f"agreement: {'holds' if agreement['holds'] else 'BROKEN'}, features of up to "
        f"{agreement['features_largest']:.1f} differ by at most {agreement['features_difference']:.1e}"
    )
    if machine["load_before"] > QUIET_LOAD:
        console.print("The machine was busy before the start: PyTorch suffers from that more than rwejax does.")


if __name__ == "__main__":
    sys.exit(main())
