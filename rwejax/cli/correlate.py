"""Rank-correlate estimators of networks with the accuracies that they reach when trained.

Examples:
  rwejax correlate --space nasbench201 --truth nasbench201.csv --column cifar10_accuracy
  rwejax correlate --space nasbench201 --truth NATS-tss-v1_0-3ffb9-simple --column cifar100_accuracy
  rwejax correlate --space darts --truth nb_301_v13/rs --column test_accuracy --channels 8 --layers 5
"""

from collections.abc import Sequence

import tyro

from rwejax.cli.flags import load_files, one_name
from rwejax.correlating.config import CorrelateConfig
from rwejax.runtime.invocation import invocation


def main(words: Sequence[str]) -> int:
    """Correlate as the flags say, print the table; returns the exit code."""
    config = tyro.cli(CorrelateConfig, args=one_name(words), prog=invocation("correlate"), description=__doc__)
    load_files(config.space, config.estimator, config.dataset)
    from rwejax.correlating import console

    return console.run(config)
