"""The end of a search: its finalists are trained for real, and beside them what they have to beat.

For how many epochs follows from the minutes that the user gives it, and is chosen once: the first line of
trainings.jsonl says it, and each further one what a network can do. So a search that is resumed there, or repeated with
as many epochs, comes to the same errors.
"""

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from rwejax.evaluate.population import PopulationTrainer, Recipe, describe_setting, measured
from rwejax.runtime import collectives
from rwejax.runtime.signals import uninterrupted
from rwejax.searching.finalists import PLAIN_GENOME, Finalists, choose
from rwejax.searching.front import FINALIST, PLAIN, RANDOM
from rwejax.searching.observers import SearchObserver, TrainingPlan, TrainingProgress
from rwejax.searching.records import Evaluation, Run
from rwejax.searching.result import objectives_of, read_genomes
from rwejax.searching.task import Task
from rwejax.spaces import Macro
from rwejax.storage.trainings import TrainedNetwork, Trainings, read_setting

MOST_EPOCHS = 100
"""However many minutes there are."""

LEAST_IMAGES = 15_000
"""That each network sees at least, all its epochs together: after fewer, errors tell who learns sooner, not who ends
better."""


_TIMES_AN_EVALUATION = 18  # that a train image takes of an evaluated one: 17 in micro and 20 in macro, on a CPU
_FAR = 4


class FinalTraining:
    """Trains networks in the order that the first host gives; each host has one.

    Args:
        task: what the search evaluates with.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._trainers: dict[int | None, PopulationTrainer] = {}

    def trainer(self, channels: int | None = None) -> PopulationTrainer:
        """Of the networks of the search, or of plain CNNs.

        Args:
            channels: of the plain CNN; None: those of the search.
        """
        if channels not in self._trainers:
            space = self._task.space
            if channels is not None:
                space = Macro(2, channels, space.input_shape, space.classes)
            recipe = Recipe(seed=self._task.config.seed)
            self._trainers[channels] = PopulationTrainer(space, self._task.dataset, recipe)
        return self._trainers[channels]

    def train(
        self, genomes: Int[np.ndarray, "n genes"], epochs: int, channels: int | None = None
    ) -> Iterator[tuple[int, TrainedNetwork]]:
        """Train networks on all hosts; called on the first.

        Args:
            genomes: the networks, in canonical form.
            epochs: passes over the train images.
            channels: of plain CNNs; None: networks of the search.

        Yields:
            The number of a network, and what was measured of it.
        """
        collectives.text_of_first_host(json.dumps([genomes.tolist(), epochs, channels]))
        return measured(self.trainer(channels), genomes, epochs)

    def setting(self, epochs: int) -> dict[str, object]:
        """The first line of trainings.jsonl.

        Args:
            epochs: of each network; 0 where none is trained.
        """
        recipe = dataclasses.replace(self.trainer().recipe, epochs=epochs)
        return describe_setting(self._task.space, self._task.dataset, recipe)

    def end(self) -> None:
        """Tell the other hosts that no more networks are trained."""
        collectives.text_of_first_host("")

    def follow(self) -> None:
        """Train, with the first host, what that one trains."""
        while text := collectives.text_of_first_host(""):
            genomes, epochs, channels = json.loads(text)
            for _ in measured(self.trainer(channels), np.array(genomes, np.int32), epochs):
                pass


def train_finalists(
    run: Run, task: Task, evaluations: Sequence[Evaluation], observers: Sequence[SearchObserver]
) -> None:
    """Train the finalists of a search, and what they have to beat; those that trainings.jsonl has are not trained anew.

    Args:
        run: its folder.
        task: what it evaluates with.
        evaluations: all of them.
        observers: are told of each trained network.

    Raises:
        InputError: the folder cannot be written any more.
    """
    training, config = FinalTraining(task), task.config
    objectives = objectives_of(config, evaluations)
    if np.isfinite(objectives).all(1).any():
        begin = time.perf_counter()
        _, genomes = read_genomes(run.path, evaluations, task.space)
        finalists = choose(config.seed, training.trainer(), genomes, objectives)
        plan = (
            _planned(run, task, finalists)
            or _hopeless(training, finalists, evaluations, config.training_minutes)
            or _measured_plan(training, finalists, begin, config.training_minutes)
        )
        with Trainings.open(run.path / run.trainings, training.setting(plan.epochs)) as file:
            run.write_meta({**run.read_meta(), "finally_trained": finalists.number if plan.epochs else 0})
            for observer in observers:
                observer.on_finalists(plan, len(file.known))
            if plan.epochs:
                _train(training, finalists, plan.epochs, file, observers)
    training.end()


def _planned(run: Run, task: Task, finalists: Finalists) -> TrainingPlan | None:
    """What the user has said, or trainings.jsonl; None where neither has."""
    epochs = task.config.training_epochs
    if epochs is None:
        epochs = read_setting(run.path / run.trainings).get("epochs")
    return None if epochs is None else TrainingPlan(epochs, finalists.number, math.nan)


def _train(
    training: FinalTraining, finalists: Finalists, epochs: int, file: Trainings, observers: Sequence[SearchObserver]
) -> None:
    """Train what is missing in the file."""
    space, plain = training.trainer().space, finalists.plain
    named = [(FINALIST, genome) for genome in finalists.genomes] + [(RANDOM, genome) for genome in finalists.random]
    missing = [(role, genome) for role, genome in named if (role, space.to_string(genome)) not in file.known]
    wants_plain = plain is not None and (PLAIN, plain.to_string(PLAIN_GENOME[0])) not in file.known
    begin, done = time.perf_counter(), 0.0
    sizes = space.macs(np.array([genome for _, genome in missing], np.int32).reshape(-1, len(space.lower)))
    total = float(sizes.sum() + (plain.macs(PLAIN_GENOME)[0] if plain and wants_plain else 0))

    def add(network: TrainedNetwork, role: str) -> None:
        nonlocal done
        done += network.macs
        left = (time.perf_counter() - begin) * (total / max(done, 1) - 1)
        network = dataclasses.replace(network, role=role)
        with uninterrupted():
            file.append(network)
        progress = TrainingProgress(network, len(file.known), max(left, 0.0))
        for observer in observers:
            observer.on_trained(progress)

    if missing:
        for number, network in training.train(np.array([genome for _, genome in missing]), epochs):
            add(network, missing[number][0])
    if plain and wants_plain:
        for _, network in training.train(PLAIN_GENOME, epochs, plain.channels):
            add(network, PLAIN)


def _hopeless(
    training: FinalTraining, finalists: Finalists, evaluations: Sequence[Evaluation], minutes: float
) -> TrainingPlan | None:
    """What would be needed where the minutes are far too few, by the time of an evaluation: nothing is compiled yet."""
    trainer = training.trainer()
    seconds = statistics.median(each.seconds for each in evaluations)
    an_image = _TIMES_AN_EVALUATION * seconds / (trainer.train_images + trainer.validation_images)
    expected = finalists.number * max(LEAST_IMAGES, trainer.train_images) * an_image / 60
    return TrainingPlan(0, finalists.number, expected) if expected > _FAR * minutes else None


def _measured_plan(training: FinalTraining, finalists: Finalists, begin: float, minutes: float) -> TrainingPlan:
    """As many epochs of all networks as fit in the minutes since the beginning, by the time that one takes."""
    trainer = training.trainer()
    genomes = np.concatenate([finalists.genomes, finalists.random])
    macs = trainer.space.macs(genomes)
    order, size = np.argsort(macs, kind="stable"), trainer.networks_at_once
    small, large = order[:size], order[-size:]
    sizes = [float(macs[each].mean()) for each in (small, large)]
    seconds = [_seconds_of_epoch(training, genomes[each]) for each in (small, large)]
    # Those that train side by side are of about one size, between the smallest and the largest.
    epoch = float(np.interp(macs, sizes, seconds).sum()) / size
    if finalists.plain:
        epoch += _seconds_of_epoch(training, PLAIN_GENOME, finalists.plain.channels)
    spent = time.perf_counter() - begin
    least = min(MOST_EPOCHS, math.ceil(LEAST_IMAGES / trainer.train_images))
    epochs = min(MOST_EPOCHS, int((60 * minutes - spent) / epoch))
    if epochs < least:
        return TrainingPlan(0, finalists.number, (spent + least * epoch) / 60)
    return TrainingPlan(epochs, finalists.number, (spent + epochs * epoch) / 60)


def _seconds_of_epoch(
    training: FinalTraining, genomes: Int[np.ndarray, "n genes"], channels: int | None = None
) -> float:
    """Of networks side by side, the second time, when nothing is compiled any more."""
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        list(training.train(genomes, 1, channels))
        seconds = time.perf_counter() - start
    return seconds
