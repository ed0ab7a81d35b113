"""What all forward scores of a population cost together, in one pass, and what each costs by itself.

Compilations are apart: the first call less the median of the later ones.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from parts.command import Result, main
from parts.report import Side, count_compilations, header, spread
from parts.setting import Setting, search_sizes

import rwejax
from rwejax import spaces
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate import estimators

TOGETHER = "together"
GROUPS = {
    **{name: (name,) for name in estimators.FORWARD},
    "fit_path,rwf,nwot": ("fit_path", "rwf", "nwot"),
    "together, without softmax": tuple(name for name in estimators.FORWARD if name != "rwe_softmax"),
    TOGETHER: tuple(estimators.FORWARD),
}
"""What is scored in one pass."""


@dataclass(frozen=True)
class Config(Setting):
    """Time the forward estimators alone and together on this machine."""

    spaces: str = "macro,micro,darts,nasbench201"
    """Names of search spaces, of a search's sizes."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""
    genomes: int = 40
    """Genomes of the population, drawn at random."""
    repetitions: int = 5
    """Times that each is timed."""


def measure(config: Config) -> Result:
    """Time them in every space.

    Raises:
        InputError: the setting cannot be timed.
    """
    if min(config.genomes, config.repetitions) < 2:
        raise InputError("genomes and repetitions are counts: give 2 or more of each")
    found = {}
    for name in config.spaces.split(","):
        dataset, space = config.load(name, search_sizes(name))
        found[name] = time_space(config, space, dataset)
    return {**header(config.recorded), "spaces": found}


def time_space(config: Config, space: spaces.Space, dataset: Dataset) -> dict[str, Any]:
    """Seconds of every group, one group after another, since their feature maps take gigabytes each."""
    key_genomes, key = jax.random.split(jax.random.key(config.seed))
    genomes = np.asarray(space.sample(key_genomes, config.genomes))
    sides = {
        group: time_group(config, estimators.together(names, space, dataset), key, genomes)
        for group, names in GROUPS.items()
    }
    alone = sum(sides[name]["seconds"]["median"] for name in estimators.FORWARD)
    return {**sides, "together_over_each_alone": sides[TOGETHER]["seconds"]["median"] / alone}


def time_group(config: Config, estimate: Callable[..., Any], key: jax.Array, genomes: np.ndarray) -> dict[str, Any]:
    """Seconds of one pass over the population."""
    side = Side(estimate)
    side.time(key, genomes)
    compilations = count_compilations()
    for _ in range(config.repetitions):
        side.time(key, genomes)
    seconds = spread(side.seconds[1:])
    return {
        "seconds": seconds,
        "compile_seconds": side.seconds[0] - seconds["median"],
        "compilations_after_first_call": len(compilations),
    }


if __name__ == "__main__":
    rwejax.use_all_cores()
    sys.exit(main(Config, measure))
