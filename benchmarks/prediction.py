"""What a GPU should make of a population, predicted from operations, bytes and launches. Nothing is measured.

The pass is counted as it would run there: rows in chunks of `--chunk`, `--images-per-batch` images at once. Three
limits follow from the GPU's published peaks, and the slowest is the prediction:

- operations: two for each multiply-add of the distinct rows, at the peak of the precision;
- bytes: every row reads its sources, writes its map, and what its convolution writes is read once more, at the peak of
  the memory;
- launches: `--kernels` for each chunk of rows and each batch, `--launch-microseconds` each, one after another.
"""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
import tyro
from parts.command import run
from parts.setting import NetworkSetting, title
from parts.work import convolution_macs
from rich.console import Console
from rich.table import Table

from rwejax import networks, spaces
from rwejax.evolve import sample_distinct

OPERATIONS = {"float32": 67e12, "tensorfloat32": 494.5e12, "bfloat16": 989.4e12}
"""A second, of NVIDIA's H100 SXM5 and H200 alike (data sheets, without sparsity); float32 has no tensor cores."""

BYTES = {"h100": 3.35e12, "h200": 4.8e12}
"""A second, of their memories."""


@dataclass(frozen=True)
class Config(NetworkSetting):
    """Predict evaluations per second on an NVIDIA H100 or H200."""

    gpu: Literal["h100", "h200"] = "h100"
    """Which."""

    train_images: int = 2000
    """Images that the head is fitted on."""
    validation_images: int = 1000
    """Images that the validation error is taken on."""
    genomes: int = 40
    """Genomes, drawn at random, no network twice."""
    chunk: int = 4
    """Rows computed at once."""
    images_per_batch: int = 1024
    """Images taken at once."""
    calibration_images: int = 256
    """Images of the first batch."""
    kernels: int = 8
    """GPU kernels of a chunk: its sources, mix, convolution, normalisation, the write, and the loop's own."""
    launch_microseconds: float = 5.0
    """Time between the starts of two kernels that have little to do."""


def main() -> int:
    """Count, predict, print, write. Returns the exit code: 2 where nothing can be predicted."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), show)


def measure(config: Config) -> dict[str, Any]:
    """Count and predict."""
    dataset, space = config.load(config.space, config.sizes)
    genomes = np.asarray(sample_distinct(jax.random.key(config.seed), space, config.genomes))
    counted = count(config, space, np.asarray(space.canonical(genomes)))
    return {
        "prediction": True,
        "setting": config.recorded,
        "image_shape": dataset.image_shape,
        "peaks": {**OPERATIONS, "bytes": BYTES[config.gpu]},
        "counted": counted,
        **{precision: predict(config, counted, precision) for precision in OPERATIONS},
    }


def count(config: Config, space: spaces.Space, genomes: np.ndarray) -> dict[str, Any]:
    """Rows, chunks, multiply-adds an image and numbers moved an image, all genomes in one program."""
    network = networks.network(space)
    alone, _ = networks.lower(space, network, genomes, len(genomes), 1)
    together, _ = networks.lower(space, network, genomes, len(genomes), config.chunk)
    numbers = 0
    for group in network.groups:
        rows = alone.rows[group.name]
        source, target = (int(np.prod(network.buffers[name])) for name in (group.source, group.target))
        numbers += int(rows.fan_in[: rows.chunks].sum()) * source + 3 * int(rows.chunks) * target
    return {
        "rows": sum(int(rows.chunks) for rows in alone.rows.values()),
        "chunks": sum(int(rows.chunks) for rows in together.rows.values()),
        "multiply_adds_per_image": convolution_macs(space, alone),
        "numbers_moved_per_image": numbers,
    }


def predict(config: Config, counted: dict[str, Any], precision: str) -> dict[str, Any]:
    """Seconds of the population by each limit, and evaluations per second by the slowest."""
    images = config.train_images + config.validation_images
    batches = 1 + -(-(images - config.calibration_images) // config.images_per_batch)
    width = 2 if precision == "bfloat16" else 4
    seconds = {
        "operations": 2 * counted["multiply_adds_per_image"] * images / OPERATIONS[precision],
        "bytes": width * counted["numbers_moved_per_image"] * images / BYTES[config.gpu],
        "launches": 1e-6 * config.launch_microseconds * config.kernels * counted["chunks"] * batches,
    }
    bound = max(seconds, key=lambda name: seconds[name])
    return {"seconds": seconds, "bound": bound, "evaluations_per_second": config.genomes / seconds[bound]}


def show(result: dict[str, Any]) -> None:
    """Print the prediction."""
    counted, setting = result["counted"], result["setting"]
    networks_and_images = title(setting, result["image_shape"])
    table = Table(
        title=f"PREDICTED for an {setting['gpu'].upper()}: {setting['genomes']} genomes, {networks_and_images}"
    )
    table.add_column("precision")
    for column in "operations", "bytes", "launches", "evaluations per second":
        table.add_column(column, justify="right")
    for precision in OPERATIONS:
        found = result[precision]
        limits = (f"{1e3 * seconds:.0f} ms" for seconds in found["seconds"].values())
        table.add_row(precision, *limits, f"{found['evaluations_per_second']:.0f}, bound by {found['bound']}")
    console = Console()
    console.print(table)
    console.print(
        f"{counted['rows']} distinct rows in {counted['chunks']} chunks; an image takes "
        f"{counted['multiply_adds_per_image'] / 1e6:.0f} million multiply-adds and moves "
        f"{counted['numbers_moved_per_image'] / 1e6:.0f} million numbers, all genomes together"
    )


if __name__ == "__main__":
    sys.exit(main())
