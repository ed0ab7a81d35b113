"""What searches by one estimator or another have found, trained for real: the best networks within limits of macs.

Searches of equal evaluations, several seeds each; of every front the best within each limit is trained. Beside them
stand the random networks of a table that `ground_truth.py` has made in the same setting, which is checked. Searches
stay in a folder and trainings beside the output, so that a sitting may end at any time; the same command goes on.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from parts import truths
from parts.command import start
from parts.report import cpu_model
from parts.setting import TrainingSetting
from parts.tables import read, write

import rwejax
from rwejax import SearchConfig, spaces
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.runtime.devices import cores

QUANTILES = (0.25, 0.5, 1.0)
"""Shares of random networks that are within the limits of macs."""


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Search by several estimators, and train what they find."""

    estimators: str = "rwe,rwf,nwot"
    """Names of estimators with commas between them."""
    searches: int = 3
    """Searches by each, of other seeds."""
    population_size: int = 40
    """Genomes of a generation."""
    generations: int = 10
    """Generations of a search."""
    table: Path | None = None
    """CSV file of `ground_truth.py`, with the files beside it; by default runs/truth/SPACE.csv."""
    parts: Path = Path("runs/search_quality")
    """Folder of the searches, and of the trainings where there is no output."""

    def search(self, estimator: str, seed: int) -> SearchConfig:
        """A search, which looks at a search's usual number of images."""
        given: dict[str, Any] = self.sizes
        return SearchConfig(
            space=self.space,
            **given,
            dataset=self.dataset,
            data_dir=self.data_dir,
            image_size=self.image_size,
            population_size=self.population_size,
            generations=self.generations,
            estimator=estimator,
            seed=seed,
            training_minutes=0,
            run_dir=self.parts / f"{self.space}-{estimator}-{seed}",
        )


def work(config: Config) -> None:
    """Search, train, write, print.

    Raises:
        InputError: something cannot be used.
    """
    dataset, space = config.load(config.space, config.sizes)
    table = random_networks(config, space, dataset)
    limits = find_limits(config, space)
    config.parts.mkdir(parents=True, exist_ok=True)
    picks = {
        (name, seed, limit): text
        for name in config.estimators.split(",")
        for seed in range(config.searches)
        for limit, text in find(config.search(name, seed), limits).items()
    }
    trained = config.output or config.parts / f"{config.space}.csv"
    truths.train_missing(config, space, dataset, list(dict.fromkeys(picks.values())), trained)
    accuracy = truths.accuracies(config, trained)
    rows = [{"space": config.space, "dataset": dataset.name, **row} for row in collect(space, table, picks, accuracy)]
    if config.output is not None:
        write(config.output, rows)
    for row in rows:
        print(
            "within {limit_macs_millions} M macs, by {chosen_by}, {networks} networks: {accuracy} % ({lowest} - "
            "{highest}), {macs_millions} M macs".format(**row),
        )
    print(f"{cpu_model()}, {cores()} cores, jax {jax.__version__}")


def random_networks(config: Config, space: spaces.Space, dataset: Dataset) -> dict[str, float]:
    """The networks of the table of a space, and their accuracies.

    Raises:
        InputError: there is no table, or none of networks that were trained alike.
    """
    path = config.table or Path("runs/truth") / f"{space.name}.csv"
    if not path.exists():
        raise InputError(f"table {str(path)!r} is missing: make it with ground_truth.py")
    if not truths.is_of(config, space, dataset, path):
        raise InputError(f"table {str(path)!r} was not trained in this setting: make one with ground_truth.py")
    return {row["architecture"]: float(row["accuracy"]) for row in read(path)}


def find_limits(config: Config, space: spaces.Space) -> tuple[float, ...]:
    """The limits, in millions of macs."""
    macs = space.macs(np.asarray(space.sample(jax.random.key(config.seed), 1000)))
    return tuple(float(f"{quantile / 1e6:.3g}") for quantile in np.quantile(macs, QUANTILES))


def find(config: SearchConfig, limits: tuple[float, ...]) -> dict[float, str]:
    """The best of a search within each limit."""
    folder = config.run_dir
    assert folder is not None
    result = rwejax.resume(folder) if (folder / "config.yaml").exists() else rwejax.search(config)
    jax.clear_caches()
    print(f"{folder.name}: a front of {len(result.front)}")
    return {limit: result.evaluations[rwejax.pick(result, f"macs:{limit}M")].architecture for limit in limits}


def collect(
    space: spaces.Space,
    table: dict[str, float],
    picks: dict[tuple[str, int, float], str],
    accuracy: dict[str, np.ndarray],
) -> list[dict[str, str]]:
    """A row for each limit and each way to choose."""
    rows = []
    for limit in dict.fromkeys(limit for _, _, limit in picks):
        chosen = {"random": [text for text in table if millions(space, text) <= limit]}
        for (name, _, within), text in picks.items():
            if within == limit:
                chosen.setdefault(name, []).append(text)
        for name, texts in chosen.items():
            if not texts:
                continue
            values = np.array([table[text] if name == "random" else accuracy[text].mean() for text in texts])
            rows.append(
                {
                    "limit_macs_millions": str(limit),
                    "chosen_by": name,
                    "networks": str(len(texts)),
                    "accuracy": f"{values.mean():.2f}",
                    "lowest": f"{values.min():.2f}",
                    "highest": f"{values.max():.2f}",
                    "macs_millions": f"{np.mean([millions(space, text) for text in texts]):.3f}",
                    "architectures": ";".join(texts) if name != "random" else "",
                }
            )
    return rows


def millions(space: spaces.Space, text: str) -> float:
    """Macs of an architecture, in millions."""
    return float(space.macs(space.from_string(text)[None])[0]) / 1e6


if __name__ == "__main__":
    sys.exit(start(Config, work))
