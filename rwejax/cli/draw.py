"""Draw a network as an SVG file: its phases or cells, and of each operation what it is, its map and its costs.

Examples:
  rwejax draw runs/macro-digits-20260101-120000 --pick 3  # the third one of the front
  rwejax draw runs/train-macro-digits-20260101-120000
  rwejax draw --space macro --nodes 2 --architecture macro:2:11-10-11 --output network.svg
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from rwejax.bounds import Size
from rwejax.cli.flags import load_files
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is drawn where.

    Attributes:
        run: run folder of a search or a training; None: --architecture is drawn.
        pick: which network of a search's front: its number in front.csv, knee, error, or a limit of a cost, such as
            macs:300M or latency:5ms.
        architecture: text form of a network.
        space: of that, macro by default; or FILE.py:CLASS, where the run is of a space of your own.
        nodes: macro: nodes of a phase.
        layers: micro, darts: cells of the network.
        cells: nasbench201: cells of a stage.
        channels: channels of the first maps.
        image_shape: height, width and channels of an image.
        classes: number of classes.
        output: SVG file, missing; None: runs/draw-SPACE.svg, with a number where that exists.
    """

    run: tyro.conf.Positional[Path | None] = None
    pick: str = "knee"
    architecture: str = ""
    space: str | None = None
    nodes: Size | None = None
    layers: Size | None = None
    cells: Size | None = None
    channels: Size | None = None
    image_shape: Annotated[tuple[int, int, int], tyro.conf.arg(metavar="HEIGHT WIDTH CHANNELS")] = (32, 32, 3)
    classes: int = 10
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None


def main(words: Sequence[str]) -> int:
    """Draw as the flags say; returns the exit code.

    Args:
        words: the flags.

    Raises:
        InputError: there is no such network, or the file exists or cannot be written.
    """
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("draw"), description=__doc__)
    load_files(arguments.space)
    from rwejax.console import make_console
    from rwejax.drawing.from_run import draw_architecture, draw_run
    from rwejax.errors import InputError
    from rwejax.training.config import TrainConfig

    sizes = {name: getattr(arguments, name) for name in ("nodes", "layers", "cells", "channels")}
    if arguments.run is None:
        # Of no images, for the digits have sizes of their own.
        config = TrainConfig(arguments.space or "macro", arguments.architecture, dataset="", **sizes)
        path = draw_architecture(config, arguments.image_shape, arguments.classes, arguments.output)
    elif arguments.architecture or any(sizes.values()):
        raise InputError(f"run {str(arguments.run)!r} has a network of its own: leave out --architecture and its sizes")
    else:
        path = draw_run(arguments.run, arguments.pick, arguments.output)
    make_console().print(f"drawn to {path}", markup=False, soft_wrap=True)
    return 0
