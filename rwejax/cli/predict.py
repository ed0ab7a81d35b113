"""Say what images show, by an exported or a trained network: file, class and probability, a line an image.

Images are read as those of the training were.

Examples:
  rwejax predict my-network IMG_003.JPG
  rwejax predict my-network photographs --csv predictions.csv
  rwejax predict runs/train-macro-digits-20260101-120000 photographs  # not exported yet
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from rwejax.cli.flags import load_files
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is looked at by which network.

    Attributes:
        model: folder that `rwejax export` has written, or run folder of a training.
        images: files, and folders whose images, also those in folders below them, are meant.
        table: CSV file for the same, missing.
        space: FILE.py:CLASS, where a training is of a space of your own.
    """

    model: tyro.conf.Positional[Path]
    images: tyro.conf.Positional[tuple[Path, ...]]
    table: Annotated[Path | None, tyro.conf.arg(name="csv", metavar="FILE")] = None
    space: str | None = None


def main(words: Sequence[str]) -> int:
    """Predict as the flags say; returns the exit code.

    Args:
        words: the flags.

    Raises:
        InputError: there is no such network, or an image cannot be read.
    """
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("predict"), description=__doc__)
    load_files(arguments.space)
    from rwejax.console import make_console
    from rwejax.errors import InputError
    from rwejax.exporting import predict
    from rwejax.exporting.from_run import load_model

    if not arguments.images:
        raise InputError("no image is named: give images, or folders of images")
    show = functools.partial(make_console().print, markup=False, soft_wrap=True)
    infer, card = load_model(arguments.model)
    try:
        predict.run(infer, card, arguments.images, arguments.table, show)
    except predict.Unusable as error:
        raise InputError(str(error)) from error
    return 0
