"""Rank-correlate what searches have minimised with the accuracies of trained networks, generation by generation.

Examples:
  rwejax correlate-runs --run runs/a,runs/b --truth nasbench201.csv --column cifar10_accuracy
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import tyro

from rwejax.cli.flags import load_files
from rwejax.correlating.config import CorrelateRunsConfig
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is correlated.

    Attributes:
        correlation: the correlation itself.
        space: FILE.py:CLASS, where the runs are of a space of your own.
    """

    correlation: Annotated[CorrelateRunsConfig, tyro.conf.arg(name="")]
    space: str | None = None


def main(words: Sequence[str]) -> int:
    """Correlate as the flags say, print the table; returns the exit code."""
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("correlate-runs"), description=__doc__)
    load_files(arguments.space)
    from rwejax.correlating import console
    from rwejax.correlating.runs import correlate_runs

    console.print_runs(correlate_runs(arguments.correlation))
    return 0
