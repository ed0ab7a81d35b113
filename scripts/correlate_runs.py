"""Hold what searches have minimised against the accuracies of trained networks, generation by generation.

Example:
  python scripts/correlate_runs.py --run runs/a,runs/b --truth nasbench201.csv --column cifar10_accuracy
"""

import sys

import tyro

from rwejax.config import CorrelateRunsConfig
from rwejax.errors import InputError


def main() -> int:
    """Correlate, print the table, and return the exit code."""
    try:
        config = tyro.cli(CorrelateRunsConfig, description=__doc__)
        from rwejax import correlate_console, correlate_runs

        correlate_console.print_runs(correlate_runs(config))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
