"""What bfloat16 changes in the ranks that random-weight evaluation gives.

The same networks are scored on the same images with the same kernels, once in float32 and once in bfloat16, beside
float32 with other kernels: a change of rank matters as far as it is large beside what another draw changes.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import tyro
from parts.command import run
from parts.report import describe_machine, header
from parts.setting import Setting
from rich.console import Console
from rich.table import Table

from rwejax.correlating.statistics import interval, spearman
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evolve import sample_distinct
from rwejax.objectives import RWE_SCORES
from rwejax.spaces import get_class


@dataclass(frozen=True)
class Config(Setting):
    """Compare the ranks of bfloat16 with those of float32."""

    spaces: str = "macro,micro,nasbench201"
    """Names of search spaces."""
    genomes: int = 60
    """Genomes of each space, drawn at random, no network twice."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 2 where nothing can be measured."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), show)


def measure(config: Config) -> dict[str, Any]:
    """Compare in every space."""
    spaces = {name: measure_space(config, name) for name in config.spaces.split(",")}
    return {**header(config.recorded), "device": jax.devices()[0].device_kind, "spaces": spaces}


def measure_space(config: Config, name: str) -> dict[str, Any]:
    """For each score Spearman's correlation with its values in float32, and the largest difference."""
    sizes = dict(get_class(name).proxy_sizes)
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


def show(result: dict[str, Any]) -> None:
    """Print the results."""
    setting = result["setting"]
    table = Table("space", "score", title="Spearman (95 %) with float32")
    for column in "bfloat16", "float32, other kernels":
        table.add_column(column, justify="right")
    for name, found in result["spaces"].items():
        for score in RWE_SCORES:
            ways = (found[way][score] for way in ("bfloat16", "other kernels"))
            cells = (f"{each['spearman']:.3f} ({each['low']:.3f} to {each['high']:.3f})" for each in ways)
            table.add_row(name if score == RWE_SCORES[0] else "", score, *cells)
    console = Console()
    console.print(table)
    console.print(
        f"{setting['genomes']} networks a space, {setting['train_images']} + {setting['validation_images']} images of "
        f"{setting['dataset']}, {setting['image_size']} x {setting['image_size']}"
    )
    console.print(describe_machine(result), f"device: {result['device']}", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
