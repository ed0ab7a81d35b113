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
from parts.command import Result, main
from parts.report import header, spread
from parts.setting import NetworkSetting

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


def measure(config: Config) -> Result:
    """Search with and without in turns."""
    dataset, _ = config.load(config.space, config.sizes)
    config.search(config.seed, config.race_images, Path()).validate()
    searches = []
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(1, rwejax.use_all_cores, maxtasksperchild=1) as pool,
    ):
        for seed in range(config.seed, config.seed + config.searches):
            sides = {
                side: pool.apply(search, (config.search(seed, images, Path(folder)),))
                for side, images in (("whole", None), ("race", config.race_images))
            }
            searches.append({"seed": seed, **compare(sides)})
    ratios = {
        key: spread(each["race"][key] / each["whole"][key] for each in searches) for key in ("seconds", "hypervolume")
    }
    return {
        **header(config.recorded),
        "image_shape": dataset.image_shape,
        "searches": searches,
        "medians": {
            side: {key: spread(each[side][key] for each in searches) for key in searches[0][side]}
            for side in ("whole", "race")
        },
        "race / whole": ratios,
    }


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


if __name__ == "__main__":
    sys.exit(main(Config, measure))
