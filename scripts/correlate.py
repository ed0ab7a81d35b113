"""Hold estimators of networks against the accuracies that they reach when trained.

Examples:
  python scripts/correlate.py --space nasbench201 --truth nasbench201.csv --column cifar10_accuracy
  python scripts/correlate.py --space nasbench201 --truth NATS-tss-v1_0-3ffb9-simple --column cifar100_accuracy
  python scripts/correlate.py --space darts --truth nb_301_v13/rs --column test_accuracy --channels 8 --layers 5
"""

import os
import sys

import tyro

from rwejax.config import CorrelateConfig
from rwejax.errors import InputError


def main() -> int:
    """Correlate, print the table, and return the exit code."""
    try:
        config = tyro.cli(CorrelateConfig, description=__doc__)
        from rwejax import correlate_console

        return correlate_console.run(config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    code = main()
    if code > 128:
        # XLA may still compile in its threads, and aborts when Python is taken down around them.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
