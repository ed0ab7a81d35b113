"""What a race saves, and what it changes in the front: the same searches with and without it.

Each search runs in a process of its own, and its time has compilation in it. Fronts are compared by what they dominate,
from one reference for both; whoever is in a front has seen all images, with a race or without.
"""

import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from parts.command import Result, run
from parts.report import describe_machine, format_spread, header, spread
from parts.setting import NetworkSetting, title
from rich.console import Console
from rich.table import Table

import rwejax
from rwejax import SearchConfig
from rwejax.evolve import hypervolume


@dataclass(frozen=True)
class Config(NetworkSetting):
    """Search with and without a race."""

    race_images: int = 250
    """Images that all genomes see in a race."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""
    population_size: int = 40
    """Genomes of a generation."""
    generations: int = 10
    """Generations of a search."""
    searches: int = 5
    """Searches of either kind, of other seeds."""

    def search(self, seed: int, race_images: int | None, folder: Path) -> SearchConfig:
        """One of the searches."""
        sizes: dict[str, Any] = self.sizes
        return SearchConfig(
            space=self.space,
            **sizes,
            dataset=self.dataset,
            data_dir=self.data_dir,
            image_size=self.image_size,
            train_images=self.train_images,
            validation_images=self.validation_images,
            population_size=self.population_size,
            generations=self.generations,
            estimator="rwe",
            seed=seed,
            race_images=race_images,
            run_dir=folder / f"{race_images}-{seed}",
        )


def main() -> int:
    """Measure, print, write. Returns the exit code: 2 where nothing can be searched."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), show)


def measure(config: Config) -> Result:
    """Search with and without in turns."""
    dataset, _ = config.load(config.space, config.sizes)
    config.search(config.seed, config.race_images, Path()).validate()
    searches = []
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool,
    ):
        for seed in range(config.seed, config.seed + config.searches):
            sides = {
                side: pool.apply(search, (config.search(seed, images, Path(folder)),))
                for side, images in (("whole", None), ("race", config.race_images))
            }
            searches.append({"seed": seed, **compare(sides)})
    return header(config.recorded) | {"image_shape": dataset.image_shape, "searches": searches}


def search(config: SearchConfig) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds of a search, its objectives, and which genomes saw all images."""
    start = time.perf_counter()
    result = rwejax.search(config)
    seconds = time.perf_counter() - start
    return seconds, result.objectives, np.isfinite([each.scores["loo_error"] for each in result.evaluations])


def compare(sides: dict[str, tuple[float, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """What either search took and found."""
    reference = np.array([100.0, max(objectives[:, 1].max() for _, objectives, _ in sides.values())], np.float32)
    return {
        side: {
            "seconds": seconds,
            "saw_all": float(saw_all.mean()),
            "hypervolume": float(hypervolume(objectives[saw_all].astype(np.float32), reference)),
            "best_error": float(objectives[saw_all, 0].min()),
        }
        for side, (seconds, objectives, saw_all) in sides.items()
    }


def show(result: Result) -> None:
    """Print the results."""
    console = Console()
    setting = result["setting"]
    evaluations = setting["population_size"] * setting["generations"]
    table = Table(title=f"{evaluations} evaluations of {title(setting, result['image_shape'])}", box=None)
    for column in "search", "seconds", "saw all images (%)", "hypervolume (% x M)", "best error (%)":
        table.add_column(column, justify="left" if column == "search" else "right")
    for side, name in (("whole", "all see all"), ("race", f"race, {setting['race_images']} images first")):
        found = [each[side] for each in result["searches"]]
        table.add_row(
            name,
            *(
                format_spread(spread(factor * each[key] for each in found))
                for key, factor in (("seconds", 1), ("saw_all", 100), ("hypervolume", 1), ("best_error", 1))
            ),
        )
    for key in "seconds", "hypervolume":
        ratios = spread(each["race"][key] / each["whole"][key] for each in result["searches"])
        table.add_row(f"{key}, race / whole", format_spread(ratios, 3))
    console.print(table)
    console.print(describe_machine(result), highlight=False)


if __name__ == "__main__":
    sys.exit(main())
