"""What bfloat16 changes in the ranks that random-weight evaluation gives.

The same networks are scored on the same images with the same kernels, once in float32 and once in bfloat16, beside
float32 with other kernels: a change of rank matters as far as it is large beside what another draw changes.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from parts.command import Result, main
from parts.report import header
from parts.setting import Setting, search_sizes

from rwejax.correlating.statistics import interval, spearman
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evolve import sample_distinct
from rwejax.objectives import RWE_SCORES


@dataclass(frozen=True)
class Config(Setting):
    """Compare the ranks of bfloat16 with those of float32."""

    spaces: str = "macro,micro,nasbench201"
    """Names of search spaces."""
    genomes: int = 60
    """Genomes of each space, drawn at random, no network twice."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""


def measure(config: Config) -> Result:
    """Compare in every space."""
    spaces = {name: measure_space(config, name) for name in config.spaces.split(",")}
    return {**header(config.recorded), "device": jax.devices()[0].device_kind, "spaces": spaces}


def measure_space(config: Config, name: str) -> dict[str, Any]:
    """For each score Spearman's correlation with its values in float32, and the largest difference."""
    sizes = search_sizes(name)
    dataset, space = config.load(name, sizes)
    key_genomes, key, another = jax.random.split(jax.random.key(config.seed), 3)
    genomes = np.asarray(sample_distinct(key_genomes, space, config.genomes))
    exact = RandomWeightEvaluator(space, dataset)
    base = exact(key, genomes)
    others = {
        "bfloat16": RandomWeightEvaluator(space, dataset, precision="bfloat16")(key, genomes),
        "other kernels": exact(another, genomes),
    }
    return {"sizes": sizes} | {
        way: {score: compare(getattr(found, score), getattr(base, score), config.seed) for score in RWE_SCORES}
        for way, found in others.items()
    }


def compare(found: np.ndarray, base: np.ndarray, seed: int) -> dict[str, float]:
    """Two columns of scores."""
    low, high = interval(found, base, seed)
    # Networks without features have scores of infinity, which are equal and have no difference.
    differ = found != base
    difference = np.abs(found[differ] - base[differ]).max(initial=0)
    return {"spearman": spearman(found, base), "low": low, "high": high, "largest_difference": float(difference)}


if __name__ == "__main__":
    sys.exit(main(Config, measure))
