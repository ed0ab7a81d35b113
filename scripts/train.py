"""Train a found architecture for real.

Examples:
  python scripts/train.py --run runs/macro-digits-20260101-120000 --pick knee
  python scripts/train.py --run RUN --pick macs:300M --config configs/train_cifar10_papers.yaml
  python scripts/train.py --space macro --nodes 2 --architecture 111011 --epochs 10
  python scripts/train.py --resume runs/train-macro-digits-20260101-120000
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from rwejax.flags import overlay, resumed
from rwejax.runtime.signals import exit_code, leave
from rwejax.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Where a training comes from.

    Attributes:
        train: the training itself.
        run: run folder of a search, which gives space, architecture, sizes, images and their size; flags override it.
        pick: which network of its front: knee, error, or macs:LIMIT, such as macs:300M.
        config: YAML file of the options below; flags override it.
        resume: run folder of a training to go on with; needs no other flag.
    """

    train: Annotated[TrainConfig, tyro.conf.arg(name="")]
    run: Path | None = None
    pick: str = "knee"
    config: Path | None = None
    resume: Path | None = None


def parse(argv: list[str] | None = None) -> tuple[Arguments, dict[str, Any] | None]:
    """Read the flags, over the file, over the run that they name.

    Returns:
        What they say, and where the network comes from, if a search has found it.

    Raises:
        InputError: a file or a run cannot be used, or flags contradict the training to resume.
    """

    def flags(base: TrainConfig) -> TrainConfig:
        return _read_flags(argv, base).train

    arguments = _read_flags(argv, TrainConfig())
    origin = None
    if arguments.resume is not None:
        config = resumed(flags, arguments.config, arguments.resume, TrainConfig())
    elif arguments.run is not None:
        from rwejax.training.picked import from_search

        found, origin = from_search(arguments.run, arguments.pick)
        config = overlay(flags, arguments.config, found)
    else:
        config = overlay(flags, arguments.config, arguments.train)
    return dataclasses.replace(arguments, train=config), origin


def _read_flags(argv: list[str] | None, defaults: TrainConfig) -> Arguments:
    return tyro.cli(Arguments, args=argv, default=Arguments(defaults), description=__doc__)


def main() -> int:
    """Train, print the accuracy, and return the exit code."""
    return exit_code(train)


def train() -> int:
    """Train as the flags say."""
    arguments, origin = parse()
    from rwejax.training import console

    return console.run(arguments.train, arguments.resume, origin)


if __name__ == "__main__":
    leave(main())
