"""Rank-correlate what searches have minimised with the accuracies of trained networks, generation by generation.

Example:
  rwejax correlate-runs --run runs/a,runs/b --truth nasbench201.csv --column cifar10_accuracy
"""

from collections.abc import Sequence

import tyro

from rwejax.correlating.config import CorrelateRunsConfig
from rwejax.runtime.invocation import invocation


def main(words: Sequence[str]) -> int:
    """Correlate as the flags say, print the table; returns the exit code."""
    config = tyro.cli(CorrelateRunsConfig, args=list(words), prog=invocation("correlate-runs"), description=__doc__)
    from rwejax.correlating import console
    from rwejax.correlating.runs import correlate_runs

    console.print_runs(correlate_runs(config))
    return 0
