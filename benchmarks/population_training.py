"""Images a second that networks are trained on, many different ones: rwejax in one compiled step, PyTorch one by one.

Both train the same architectures on the same images, in batches of one size, by SGD with momentum, change the images
alike, and measure them once. PyTorch takes the faster of two ways: one process on all cores, or one on each.
"""

import multiprocessing
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from parts.command import Result, main, require
from parts.report import count_compilations, header, spread
from parts.setting import TrainingSetting, title

import rwejax
from rwejax import spaces
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.population import PopulationTrainer, Recipe
from rwejax.runtime.devices import cores


@dataclass(frozen=True)
class Config(TrainingSetting):
    """Time the training of random networks."""

    channels: int | None = None
    """Channels of the first phase or cell; by default a search's: macro 16, micro 8."""
    networks: int = 8
    """Networks, drawn at random."""
    epochs: int = 1
    """Epochs of a training."""
    train_images: int = 1280
    """Images that the networks are trained on."""
    validation_images: int = 500
    """Images that their accuracy is taken on."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    peer: bool = True
    """Time PyTorch as well."""


def measure(config: Config) -> Result:
    """Time both sides.

    Raises:
        InputError: the setting cannot be timed.
    """
    if min(config.networks, config.repetitions) < 2:
        raise InputError("networks and repetitions are counts: give 2 or more of each")
    if config.peer:
        require("torch", "bench")
    dataset, space = config.load(config.space, config.sizes)
    genomes = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(config.seed), config.networks))))
    sides: dict[str, Callable[[], Any]] = {"rwejax": rwejax_side(config, space, dataset, genomes)}
    seconds: dict[str, list[float]] = {}
    start = time.perf_counter()
    sides["rwejax"]()
    first = time.perf_counter() - start
    texts = [space.to_string(genome) for genome in genomes]
    with workers(1, cores()) as one, workers(cores(), 1) as several:
        if config.peer:
            sides |= {
                f"PyTorch, one process of {cores()} threads": torch_side(config, texts, one),
                f"PyTorch, {cores()} processes of one thread": torch_side(config, texts, several),
            }
            for name in list(sides)[1:]:
                sides[name]()  # loads the images
        compilations = count_compilations()
        for _ in range(config.repetitions):
            for name, side in sides.items():
                start = time.perf_counter()
                side()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    images = config.networks * config.epochs * config.train_images
    result = {
        **header(config.recorded, *["torch"] * config.peer),
        "networks": title(config.recorded, dataset.image_shape),
        "macs": spread(space.macs(genomes).tolist()),
        "images_per_second": {name: spread(images / each for each in found) for name, found in seconds.items()},
        "compile_seconds": first - statistics.median(seconds["rwejax"]),
        "compilations_after_first_call": len(compilations),
    }
    if config.peer:
        quickest = min(list(sides)[1:], key=lambda name: statistics.median(seconds[name]))
        turns = zip(seconds[quickest], seconds["rwejax"], strict=True)
        result["ratio"] = {"peer": quickest, **spread(theirs / ours for theirs, ours in turns)}
    return result


def rwejax_side(config: Config, space: spaces.Space, dataset: Dataset, genomes: np.ndarray) -> Callable[[], Any]:
    """Train all networks."""
    recipe = Recipe(
        epochs=config.epochs, batch_size=config.batch, learning_rate=config.learning_rate, flip=True, seed=config.seed
    )
    trainer = PopulationTrainer(space, dataset, recipe)
    return lambda: list(trainer(genomes))


def workers(processes: int, threads: int) -> Any:
    """Processes in which PyTorch trains, each on so many threads."""
    return multiprocessing.get_context("spawn").Pool(processes, begin, (threads,))


def begin(threads: int) -> None:
    """Set a process up. The command itself answers Ctrl-C, and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global THREADS
    THREADS = threads


THREADS = 1


def torch_side(config: Config, texts: Sequence[str], pool: Any) -> Callable[[], Any]:
    """Train all networks where JAX does, whichever process is free takes the next."""
    where = "cuda" if jax.default_backend() == "gpu" else "cpu"
    return lambda: pool.starmap(train, [(config, text, where) for text in texts], chunksize=1)


def train(config: Config, text: str, where: str) -> float:
    """Train one network in PyTorch; returns its accuracy in %."""
    import torch
    from parts.torch_training import Training

    torch.set_num_threads(THREADS)
    training = Training(config, text, where)
    for _ in range(training.steps):
        training.advance()
    return training.accuracy()


if __name__ == "__main__":
    rwejax.use_all_cores()
    sys.exit(main(Config, measure))
