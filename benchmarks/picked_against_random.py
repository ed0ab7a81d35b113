"""A network that a search has found, trained for real beside random ones of the same size.

The network is picked from a search's front as `scripts/train.py` picks it; the others are drawn at random until enough
have its multiply-adds. All are trained by `rwejax.training` alike, one on each core at a time, each in a run folder of
its own, so that a sitting may end at any time; the same command goes on. The result has every training's curve.
"""

import dataclasses
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from parts.command import Result, run
from parts.report import describe_machine, header
from rich.console import Console
from rich.table import Table

from rwejax import data, plots, training
from rwejax.errors import InputError
from rwejax.training.config import TrainConfig
from rwejax.training.from_search import from_search

DRAWN = 100_000
"""Random networks among which those of equal size are looked for."""
LEFT_OUT = "architecture", "run_dir", "data_dir"
"""What a result does not say of the trainings, because it differs or is a place."""


@dataclass(frozen=True)
class Config:
    """Train what a search has found beside random networks of its size."""

    run: Path
    """Run folder of the search."""
    pick: str = "knee"
    """Which network of its front: knee, error, or macs:LIMIT."""
    random: int = 3
    """Random networks beside it."""
    tolerance: float = 0.01
    """Share of the multiply-adds by which theirs may differ."""
    epochs: int = 20
    """Epochs of each training."""
    train_images: int | None = None
    """Images to train on; by default all but the tenth that is validated on."""
    seed: int = 0
    """Draws the random networks, the images, the weights and the order."""
    parts: Path | None = None
    """Folder of the trainings; by default picked/ in the search's."""
    output: Path | None = None
    """JSON file for the results; the curves go beside it."""


def main() -> int:
    """Train, print, write. Returns the exit code: 2 where the search cannot be used."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), show, plot)


def measure(config: Config) -> Result:
    """Train all networks, or go on.

    Raises:
        InputError: the search cannot be used, or has too few networks of equal size beside what is picked.
    """
    if config.random < 1 or config.epochs < 1:
        raise InputError("random and epochs are counts: give 1 or more of each")
    picked, origin = from_search(config.run, config.pick)
    picked = dataclasses.replace(picked, epochs=config.epochs, train_images=config.train_images, seed=config.seed)
    dataset = data.load_named(picked)
    space, genome = training.choose(picked, dataset.image_shape, dataset.classes)
    drawn = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(config.seed), DRAWN))))
    macs = space.macs(genome[None])[0]
    near = drawn[np.abs(space.macs(drawn) - macs) <= config.tolerance * macs]
    others = [text for text in dict.fromkeys(map(space.to_string, near)) if text != picked.architecture]
    if len(others) < config.random:
        raise InputError(
            f"{len(others)} of {DRAWN} random networks have the {macs / 1e6:.3g} million macs of what is picked: give "
            "a larger --tolerance"
        )
    texts = {"picked": picked.architecture} | {f"random {k + 1}": others[k] for k in range(config.random)}
    folders = {name: (config.parts or config.run / "picked") / name.replace(" ", "-") for name in texts}
    trainings = [dataclasses.replace(picked, architecture=text, run_dir=folders[name]) for name, text in texts.items()]
    networks = {}
    for name, found in zip(texts, train_all(trainings), strict=True):
        genomes = space.from_string(texts[name])[None]
        costs = {"macs": int(space.macs(genomes)[0]), "params": int(space.params(genomes)[0])}
        networks[name] = {"architecture": texts[name], **costs, **found}
    setting = {name: value for name, value in dataclasses.asdict(picked).items() if name not in LEFT_OUT}
    searched = {"pick": config.pick, "objectives": origin["objectives"], "image_shape": dataset.image_shape}
    return header(setting | {"train_images": len(dataset.train_labels)}) | searched | {"networks": networks}


def train_all(trainings: Sequence[TrainConfig]) -> list[dict[str, Any]]:
    """Train each on one core, and return what its run folder says."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    free = context.Queue()
    for core in cores:
        free.put(core)
    with context.Pool(min(len(cores), len(trainings)), take_core, (free,)) as pool:
        return pool.map(train, trainings, chunksize=1)


def take_core(free: "Queue[int]") -> None:
    """Keep this process, and JAX in it, to one core."""
    os.sched_setaffinity(0, {free.get()})
    jax.config.update("jax_num_cpu_devices", 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command itself answers Ctrl-C, and ends the others


def train(config: TrainConfig) -> dict[str, Any]:
    """Train, or go on, or read what is finished."""
    assert config.run_dir is not None
    known = (config.run_dir / "config.yaml").exists()
    result = training.resume(config.run_dir) if known else training.train(config)
    return {
        "test_accuracy": result.test.test_accuracy,
        "test_images": result.test.test_images,
        "validation_accuracy": [epoch.validation_accuracy for epoch in result.epochs],
        "train_accuracy": [epoch.train_accuracy for epoch in result.epochs],
        "seconds": sum(epoch.seconds for epoch in result.epochs),
    }


def show(result: Result) -> None:
    """Print the results."""
    console = Console()
    setting = result["setting"]
    table = Table(title=f"{setting['space']} on {setting['dataset']}, {setting['epochs']} epochs", box=None)
    for column in "network", "macs\n(M)", "params\n(k)", "validation\n(%)", "test\n(%)", "minutes":
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, each in result["networks"].items():
        figures = each["macs"] / 1e6, each["params"] / 1e3, each["validation_accuracy"][-1], each["test_accuracy"]
        table.add_row(name, *(f"{figure:.2f}" for figure in figures), f"{each['seconds'] / 60:.1f}")
    console.print(table)
    console.print(describe_machine(result), highlight=False)


def plot(result: Result, figure: Figure) -> None:
    """Draw validation accuracy over epochs, a line a network."""
    axes = figure.subplots()
    for name, each in result["networks"].items():
        style = {"color": plots._FRONT, "linewidth": 1.8} if name == "picked" else {"linewidth": 1.0}
        curve = each["validation_accuracy"]
        axes.plot(range(1, len(curve) + 1), curve, label=f"{name}: {each['test_accuracy']:.1f} % on test", **style)
    axes.set_xlabel("epoch", color=plots._INK)
    axes.set_ylabel("validation accuracy (%)", color=plots._INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=plots._INK)
    setting = result["setting"]
    plots._frame(axes, f"{setting['space']} on {setting['dataset']}, trained on {setting['train_images']} images")


if __name__ == "__main__":
    sys.exit(main())
