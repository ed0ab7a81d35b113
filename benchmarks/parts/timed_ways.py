"""Four ways to find good trained networks, each in a process of its own whose seconds all count.

`run` starts the process, which is this module with a `Task` as JSON. It leaves the networks that it has trained in
trainings.jsonl of its folder, and those that it has trained briefly in brief.jsonl.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

import rwejax
from rwejax import SearchConfig, data, spaces
from rwejax.errors import InputError
from rwejax.evaluate.population import PopulationTrainer, Recipe, describe_setting, measured
from rwejax.storage.trainings import TrainedNetwork, Trainings

from . import tournaments

TRAINED, BRIEF = "trainings.jsonl", "brief.jsonl"
BRIEFLY, FINALLY = "brief", "final"
_CAUTION = 1.05  # times the expected seconds that must be left for a training to begin
_ENDING = 0.5  # seconds that a process takes to end
_DRAWN = 256  # random networks that are drawn at once
_BENCHMARKS = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Task:
    """What a process is told.

    Attributes:
        way: one of `WAYS`.
        seed: draws all that is random.
        folder: of what it leaves; missing.
        begun: when the process was started, in seconds since 1970; `run` sets it.
        seconds: until when it must have ended, counted from there; None: it ends when it has done its work.
        dataset, data_dir, image_size, train_images, validation_images: as `rwejax.SearchConfig` has them.
        space: name of the search space.
        sizes: of its networks.
        epochs: of a training.
        generations, population_size: of a search.
        calibrate: labels of a calibrated search.
        evolution_population, tournament: networks that are alive in an evolution, and those that one is chosen from.
        brief_epochs: of the training by which the evolution chooses.
    """

    way: str
    seed: int
    folder: str
    dataset: str
    data_dir: str | None
    image_size: int | None
    train_images: int
    validation_images: int
    space: str
    sizes: dict[str, int]
    epochs: int
    generations: int
    population_size: int
    calibrate: int
    evolution_population: int
    tournament: int
    brief_epochs: int
    begun: float = 0.0
    seconds: float | None = None


def run(task: Task) -> float:
    """Run a way in a process of its own, with an empty cache of compilations.

    Returns:
        Seconds from before the start of the process to after its end.

    Raises:
        InputError: it has failed, and has said why.
    """
    paths = [str(_BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as compilations:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "JAX_COMPILATION_CACHE_DIR": compilations}
        begin, task = time.perf_counter(), dataclasses.replace(task, begun=time.time())
        words = [sys.executable, "-P", "-m", "parts.timed_ways", json.dumps(dataclasses.asdict(task))]
        code = subprocess.run(words, env=environment).returncode
        seconds = time.perf_counter() - begin
    if code:
        raise InputError(f"{task.way} with seed {task.seed} has failed, exit code {code}: mend what it says above")
    return seconds


def search(task: Task) -> None:
    """A search with its defaults, to the end."""
    given: dict[str, Any] = task.sizes
    rwejax.search(
        SearchConfig(
            space=task.space,
            **given,
            dataset=task.dataset,
            data_dir=None if task.data_dir is None else Path(task.data_dir),
            image_size=task.image_size,
            train_images=task.train_images,
            validation_images=task.validation_images,
            population_size=task.population_size,
            generations=task.generations,
            seed=task.seed,
            training_epochs=task.epochs,
            calibrate=task.calibrate if task.way == "calibrated" else 0,
            run_dir=Path(task.folder),
        )
    )


def random(task: Task) -> None:
    """Random networks, as many side by side as there are devices, until the time is up."""
    trainer = TimedTrainer(task)
    with trainer.writes(TRAINED, task.epochs) as file:
        for genomes in _random_networks(trainer.trainer, task.seed):
            if not trainer.fits(genomes, task.epochs):
                break
            trainer.train(genomes, file, "random")


def evolution(task: Task) -> None:
    """Regularised evolution by brief trainings for half of the time, then its fronts, one after another."""
    trainer = TimedTrainer(task)
    at_once = trainer.trainer.networks_at_once
    first = next(_random_networks(trainer.trainer, task.seed, task.evolution_population))
    population = tournaments.Population(
        trainer.trainer.space,
        trainer.trainer.alive,
        first,
        task.tournament,
        task.evolution_population,
        np.random.default_rng(task.seed),
    )
    with trainer.writes(BRIEF, task.brief_epochs) as file:
        while trainer.fits(genomes := population.ask(at_once), task.brief_epochs, share=0.5):
            population.tell(genomes, [found.validation_error for found in trainer.train(genomes, file, BRIEFLY)])
    with trainer.writes(TRAINED, task.epochs) as file:
        order = population.by_fronts()
        for start in range(0, len(order), at_once):
            genomes = order[start : start + at_once]
            if not trainer.fits(genomes, task.epochs):
                break
            trainer.train(genomes, file, FINALLY)


WAYS: dict[str, Callable[[Task], None]] = {
    "search": search,
    "calibrated": search,
    "random": random,
    "evolution": evolution,
}
"""The first two take the time that they take, and the longer of the two times is what the others have."""


class TimedTrainer:
    """Trains networks as a search trains its finalists, as long as there is time.

    Args:
        task: what is trained, and for how long.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._folder = task, Path(task.folder)
        self._folder.mkdir(parents=True)
        self._dataset = data.load_named(task)
        shape, classes = self._dataset.image_shape, self._dataset.classes
        self._space = spaces.get(task.space, input_shape=shape, classes=classes, **task.sizes)
        self.trainer = PopulationTrainer(self._space, self._dataset, Recipe(seed=task.seed))
        self._known: list[tuple[float, float]] = []  # multiply-adds and seconds of an epoch
        self._compiling = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def writes(self, name: str, epochs: int) -> Trainings:
        """The file of networks that are trained for so many epochs."""
        recipe = dataclasses.replace(self.trainer.recipe, epochs=epochs)
        return Trainings.open(self._folder / name, describe_setting(self._space, self._dataset, recipe))

    def fits(self, genomes: Int[np.ndarray, "n genes"], epochs: int, share: float = 1.0) -> bool:
        """Whether networks side by side can be trained before that share of the time is up; the first two can."""
        assert self._task.seconds is not None
        left = share * (self._task.seconds - _ENDING) - (time.time() - self._task.begun)
        return len(self._known) < 2 or _CAUTION * epochs * self._expected(self._size(genomes)) < left

    def train(self, genomes: Int[np.ndarray, "n genes"], file: Trainings, role: str) -> list[TrainedNetwork]:
        """Train networks side by side, and write them down.

        Returns:
            What was measured of each, in the order of the genomes.
        """
        begin, compiling, epochs = time.perf_counter(), self._compiling, file.setting["epochs"]
        found = dict(measured(self.trainer, genomes, epochs))
        for network in found.values():
            file.append(dataclasses.replace(network, role=role))
        seconds = time.perf_counter() - begin - (self._compiling - compiling)
        self._known.append((self._size(genomes), seconds / epochs))
        return [found[number] for number in range(len(genomes))]

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self._compiling += duration_secs

    def _size(self, genomes: Int[np.ndarray, "n genes"]) -> float:
        return float(self._space.macs(genomes).max())  # the others wait for the largest

    def _expected(self, macs: float) -> float:
        """Seconds of an epoch: those of the networks trained so far whose size is nearest, in proportion."""
        known = self._known[1:]  # the first ones were traced as well, which takes longer than they do
        near, seconds = min(known, key=lambda each: abs(np.log(each[0] / macs)))
        return seconds * max(1.0, macs / near)


def _random_networks(
    trainer: PopulationTrainer, seed: int, at_once: int | None = None
) -> Iterator[Int[np.ndarray, "n genes"]]:
    """Different random networks, in canonical form, so many at once; those through which no path leads are left out."""
    size = at_once or trainer.networks_at_once
    seen: set[bytes] = set()
    waiting: list[np.ndarray] = []
    key = jax.random.key(seed)
    for number in range(1000):  # a space may have fewer networks than fit in the time
        drawn = np.asarray(trainer.space.sample(jax.random.fold_in(key, number), _DRAWN))
        drawn = np.asarray(trainer.space.canonical(drawn))
        new = {genome.tobytes(): genome for genome in drawn if genome.tobytes() not in seen}
        seen |= new.keys()
        different = np.array(list(new.values()), np.int32).reshape(-1, drawn.shape[1])
        waiting += list(different[trainer.alive(different)])
        while len(waiting) >= size:
            yield np.array(waiting[:size])
            del waiting[:size]
    if waiting:
        yield np.array(waiting)


def main(words: list[str]) -> int:
    """What the process does; returns its exit code."""
    rwejax.use_all_cores()
    task = Task(**json.loads(words[0]))
    try:
        WAYS[task.way](task)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
