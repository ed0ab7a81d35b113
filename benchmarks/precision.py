"""What bfloat16 changes in the ranks that random-weight evaluation gives.

The same networks are scored on the same images with the same kernels, once in float32 and once in bfloat16, beside
float32 with other kernels: a change of rank matters as far as it is large beside what another draw changes.
"""

import json
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from rwejax import data, spaces
from rwejax.config import SIZES
from rwejax.errors import InputError
from rwejax.evaluate.correlation import interval, spearman
from rwejax.evaluate.rwe import SCORES, RandomWeightEvaluator
from rwejax.evolve import sample_distinct
from rwejax.version import __version__


@dataclass(frozen=True)
class Config:
    """Hold the ranks of bfloat16 against those of float32."""

    spaces: str = "macro,micro,nasbench201"
    """Names of search spaces."""
    genomes: int = 60
    """Genomes of each space, drawn at random, no network twice."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels."""
    train_images: int = 500
    """Images that the head is fitted on."""
    validation_images: int = 250
    """Images that the validation error is taken on."""
    seed: int = 0
    """Draws the genomes, the images and the kernels."""
    output: Path | None = None
    """JSON file for the results."""


def main() -> int:
    """Measure, print, write. Returns the exit code: 2 where nothing can be measured."""
    config = tyro.cli(Config, description=__doc__)
    if config.output is not None and not config.output.absolute().parent.is_dir():
        print(f"output {str(config.output)!r} lies in a folder that does not exist: make it first", file=sys.stderr)
        return 2
    setting = {name: value for name, value in asdict(config).items() if name not in ("data_dir", "output")}
    result = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": setting,
        "versions": {"rwejax": __version__, "jax": jax.__version__, "python": platform.python_version()},
        "device": jax.devices()[0].device_kind,
    }
    try:
        result["spaces"] = {name: measure(config, name) for name in config.spaces.split(",")}
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    if config.output is not None:
        config.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(config: Config, name: str) -> dict[str, Any]:
    """For each score Spearman's correlation with its values in float32, and the largest difference."""
    dataset = data.load(
        config.dataset,
        train=config.train_images,
        validation=config.validation_images,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )
    sizes = SIZES.get(name, {})
    space = spaces.get(name, input_shape=dataset.image_shape, classes=dataset.classes, **sizes)
    key_genomes, key, another = jax.random.split(jax.random.key(config.seed), 3)
    genomes = np.asarray(sample_distinct(key_genomes, space, config.genomes))
    exact = RandomWeightEvaluator(space, dataset)
    base = exact(key, genomes)
    others = {
        "bfloat16": RandomWeightEvaluator(space, dataset, precision="bfloat16")(key, genomes),
        "other kernels": exact(another, genomes),
    }
    return {"sizes": sizes} | {
        way: {score: compare(getattr(found, score), getattr(base, score), config.seed) for score in SCORES}
        for way, found in others.items()
    }


def compare(found: np.ndarray, base: np.ndarray, seed: int) -> dict[str, float]:
    """Two columns of scores."""
    low, high = interval(found, base, seed)
    difference = float(np.abs(found - base).max())
    return {"spearman": spearman(found, base), "low": low, "high": high, "largest_difference": difference}


def show(result: dict[str, Any]) -> None:
    """Print the results."""
    setting = result["setting"]
    table = Table("space", "score", title="Spearman (95 %) with float32")
    for column in "bfloat16", "float32, other kernels":
        table.add_column(column, justify="right")
    for name, found in result["spaces"].items():
        for score in SCORES:
            ways = (found[way][score] for way in ("bfloat16", "other kernels"))
            cells = (f"{each['spearman']:.3f} ({each['low']:.3f} to {each['high']:.3f})" for each in ways)
            table.add_row(name if score == SCORES[0] else "", score, *cells)
    console = Console()
    console.print(table)
    console.print(
        f"{setting['genomes']} networks a space, {setting['train_images']} + {setting['validation_images']} images of "
        f"{setting['dataset']}, {setting['image_size']} x {setting['image_size']}"
    )
    console.print(", ".join(f"{name} {version}" for name, version in result["versions"].items()), result["device"])


if __name__ == "__main__":
    sys.exit(main())
