"""Train a found architecture for real.

Examples:
  rwejax train --run runs/macro-digits-20260101-120000 --pick knee
  rwejax train --run RUN --pick macs:300M --config train_cifar10_papers
  rwejax train --space macro --nodes 2 --architecture macro:2:11-10-11 --epochs 10
  rwejax train --resume runs/train-macro-digits-20260101-120000
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from rwejax.cli.flags import load_files, overlay, resumed
from rwejax.runtime.invocation import invocation
from rwejax.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Where a training comes from.

    Attributes:
        train: the training itself.
        run: run folder of a search, which gives space, architecture, sizes, images and their size; flags override it.
        pick: which network of its front: knee, error, or a limit of a cost, such as macs:300M or
            latency:5ms.
        config: YAML file of the options below, or the name of a packaged one, such as train_cifar10_papers; flags
            override it.
        resume: run folder of a training to go on with; needs no other flag, but --space FILE.py:CLASS.
        log: where the metrics go besides: tensorboard, wandb, or both with a comma between them.
    """

    train: Annotated[TrainConfig, tyro.conf.arg(name="")]
    run: Path | None = None
    pick: str = "knee"
    config: Path | None = None
    resume: Path | None = None
    log: str = ""


def main(words: Sequence[str]) -> int:
    """Train as the flags say; returns the exit code."""
    arguments, origin = parse(words)
    from rwejax.reporting.observer import ReportObserver
    from rwejax.tracking import make_observers
    from rwejax.training import console
    from rwejax.training.observers import TrainObserver

    observers: list[TrainObserver] = [ReportObserver(), *make_observers(arguments.log)]
    return console.run(arguments.train, arguments.resume, origin, observers)


def parse(words: Sequence[str]) -> tuple[Arguments, dict[str, Any] | None]:
    """Read the flags, over the file, over the run that they name.

    Args:
        words: the flags.

    Returns:
        What they say, and where the network comes from, if a search has found it.

    Raises:
        InputError: a file or a run cannot be used, or flags contradict the training to resume.
    """

    def flags(base: TrainConfig) -> TrainConfig:
        return _read_flags(words, base).train

    arguments = _read_flags(words, TrainConfig())
    load_files(arguments.train.space, arguments.train.dataset)
    origin = None
    if arguments.resume is not None:
        config = resumed(flags, arguments.config, arguments.resume, TrainConfig())
    elif arguments.run is not None:
        from rwejax.training.from_search import from_search

        found, origin = from_search(arguments.run, arguments.pick)
        config = overlay(flags, arguments.config, found)
    else:
        config = overlay(flags, arguments.config, arguments.train)
    return dataclasses.replace(arguments, train=config), origin


def _read_flags(words: Sequence[str], defaults: TrainConfig) -> Arguments:
    return tyro.cli(
        Arguments, args=list(words), default=Arguments(defaults), prog=invocation("train"), description=__doc__
    )
