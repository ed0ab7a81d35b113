"""Write a trained network so that nobody needs rwejax to use it: weights, Flax source, StableHLO, or ONNX; and a card.

Examples:
  rwejax export runs/train-macro-digits-20260101-120000 my-network
  rwejax export runs/macro-digits-20260101-120000 my-network --pick knee  # of a search: not trained yet
  rwejax export runs/train-macro-digits-20260101-120000 my-network --format onnx
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rwejax.cli.flags import load_files
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is written where.

    Attributes:
        run: run folder of a training, or of a search, whose network then has random weights.
        folder: where the files go, missing or empty.
        pick: which network of a search's front: knee, error, or a limit of a cost, such as macs:300M or
            latency:5ms.
        form: flax, with its weights as safetensors and StableHLO for JAX, or onnx, for ONNX Runtime and others.
        space: FILE.py:CLASS, where the network is of a space of your own.
        dataset: where the images of a search are now, such as folder:PATH, or FILE.py:NAME for a source of your own.
        data_dir: where TensorFlow Datasets lies now.
    """

    run: tyro.conf.Positional[Path]
    folder: tyro.conf.Positional[Path]
    pick: str = "knee"
    form: Annotated[Literal["flax", "onnx"], tyro.conf.arg(name="format")] = "flax"
    space: str | None = None
    dataset: str | None = None
    data_dir: Path | None = None


def main(words: Sequence[str]) -> int:
    """Export as the flags say; returns the exit code."""
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("export"), description=__doc__)
    load_files(arguments.space, arguments.dataset)
    from rwejax.console import make_console
    from rwejax.exporting.from_run import export_run

    card = export_run(
        arguments.run,
        arguments.folder,
        arguments.pick,
        form=arguments.form,
        dataset=arguments.dataset,
        data_dir=arguments.data_dir,
    )
    console = make_console()
    console.print(
        f"{card.space} network of {card.macs / 1e6:.3g} M macs and {card.params / 1e3:.4g} k params, "
        + ", ".join(f"{name}: {value:.4g}" for name, value in card.metrics.items()),
        markup=False,
        soft_wrap=True,
    )
    console.print(f"exported to {arguments.folder}", markup=False, soft_wrap=True)
    console.print(
        f"next: read {arguments.folder / 'README.md'}, which says how to use it", markup=False, soft_wrap=True
    )
    return 0
