"""Hold what searches have minimised against the accuracies of trained networks, generation by generation.

Example:
  python scripts/correlate_runs.py --run runs/a,runs/b --truth nasbench201.csv --column cifar10_accuracy
"""

import tyro

from rwejax.config import CorrelateRunsConfig
from rwejax.runtime.signals import exit_code, leave


def main() -> int:
    """Correlate, print the table, and return the exit code."""
    return exit_code(correlate)


def correlate() -> int:
    """Correlate as the flags say."""
    config = tyro.cli(CorrelateRunsConfig, description=__doc__)
    from rwejax import correlate_console, correlate_runs

    correlate_console.print_runs(correlate_runs(config))
    return 0


if __name__ == "__main__":
    leave(main())
