"""Say how far searches and trainings are. Nothing in their folders changes, and they may be at work.

Examples:
  rwejax status runs/macro-digits-20260101-120000
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is looked at.

    Attributes:
        runs: run folders of searches and trainings.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]


def main(words: Sequence[str]) -> int:
    """Print what the folders hold; returns the exit code.

    Args:
        words: the flags.

    Raises:
        InputError: no folder is named, or one of them holds no run; then nothing is printed.
    """
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("status"), description=__doc__)
    from rwejax.console import make_console
    from rwejax.errors import InputError
    from rwejax.status import read_status

    if not arguments.runs:
        raise InputError("no run is named: give run folders")
    console = make_console()
    for number, status in enumerate([read_status(path) for path in arguments.runs]):
        lines = [f"run folder: {status.path}"]
        lines += [f"{name + ':':<15} {value}" for name, value in status.facts.items()]
        lines += [f"damaged: {sentence}" for sentence in status.damage]
        lines += [f"next: {status.command}"] if status.command else []
        console.print("\n" * (number > 0) + "\n".join(lines), markup=False, soft_wrap=True)
    return 0
