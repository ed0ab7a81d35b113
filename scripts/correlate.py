"""Hold estimators of networks against the accuracies that they reach when trained.

Examples:
  python scripts/correlate.py --space nasbench201 --truth nasbench201.csv --column cifar10_accuracy
  python scripts/correlate.py --space nasbench201 --truth NATS-tss-v1_0-3ffb9-simple --column cifar100_accuracy
  python scripts/correlate.py --space darts --truth nb_301_v13/rs --column test_accuracy --channels 8 --layers 5
"""

import tyro

from rwejax.config import CorrelateConfig
from rwejax.runtime.signals import exit_code, leave


def main() -> int:
    """Correlate, print the table, and return the exit code."""
    return exit_code(correlate)


def correlate() -> int:
    """Correlate as the flags say."""
    config = tyro.cli(CorrelateConfig, description=__doc__)
    from rwejax import correlate_console

    return correlate_console.run(config)


if __name__ == "__main__":
    leave(main())
