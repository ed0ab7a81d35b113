"""The first generations of a calibrated search: a few networks are trained, and the errors of all others predicted.

First those are trained that the score likes best, spread over the costs; then, in a few batches, those that may be best
by what was predicted so far. From the first batch on the search goes on by predicted errors, and all its networks are
predicted anew when there are new labels. They stand in trainings.jsonl.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from rwejax.evaluate.choosing import optimistic, spread
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import LABEL
from rwejax.searching.observers import SearchObserver
from rwejax.searching.records import Evaluation, Run
from rwejax.searching.result import objectives_of
from rwejax.searching.task import Task
from rwejax.searching.trained.finalists import choose
from rwejax.searching.trained.forecast import Forecast, labels_of, predict
from rwejax.searching.trained.plan import make_plan
from rwejax.storage.trainings import TrainedNetwork, Trainings

BATCHES = 4
"""Generations after which networks are trained."""


class Calibration:
    """Trains labels, and predicts by them what a search minimises.

    Args:
        run: the folder of the search.
        task: what it evaluates with.
        observers: are told of labels and predictions.
    """

    def __init__(self, run: Run, task: Task, observers: Sequence[SearchObserver]) -> None:
        self._run, self._task, self._observers = run, task, observers

    def __call__(
        self, generation: int, evaluations: Sequence[Evaluation]
    ) -> tuple[Int[np.ndarray, "n genes"], Forecast | None]:
        """What is predicted after a generation, whose labels are trained first.

        Args:
            generation: finished generations.
            evaluations: all of them.

        Returns:
            Genomes of the evaluations, and what is predicted of them; None as long as no two labels differ.
        """
        config, trained = self._run.config, self._run.trained()
        known = _Known(self._task, config, evaluations)
        if (batch := labels_in(config.calibrate, generation, config.generations)) and known.alive.any():
            before = known.predict([each for each in trained if each.generation < generation])
            self._train(batch, generation, known, before, trained)
            trained = self._run.trained()
        self._task.trainer.end()
        found = known.predict(trained)
        if found is not None and batch:
            for observer in self._observers:
                observer.on_calibrated(found.check())
        return known.genomes, found

    def _train(
        self,
        batch: int,
        generation: int,
        known: "_Known",
        before: Forecast | None,
        trained: Sequence[TrainedNetwork],
    ) -> None:
        """Train the labels of a generation, which follow from what was known before it."""
        config, trainer, path = self._run.config, self._task.trainer, self._run.path / self._run.trainings
        finalists = choose(config.seed, trainer.of(), known.genomes, known.objectives)
        plan = make_plan(path, config, trainer, finalists, known.evaluations, config.calibrate)
        earlier = {each.architecture for each in trained if each.role == LABEL and each.generation < generation}
        values = -known.objectives[:, 0] if before is None else optimistic(before.prediction)
        rows = spread(values, known.objectives[:, -1], batch, known.taken(earlier) | ~known.alive)
        with Trainings.open(path, trainer.setting(plan)) as file:
            for observer in self._observers:
                observer.on_calibration(plan, config.calibrate, len(labels_of(trained)))
            if not plan.epochs:
                return
            for network in trainer.append(file, known.genomes[rows], [LABEL] * len(rows), generation=generation):
                finished = sum(role == LABEL for role, _ in file.known)
                for observer in self._observers:
                    observer.on_label(network, finished, config.calibrate)


class _Known:
    """All that was measured.

    Args:
        task: what the search evaluates with.
        config: the search.
        evaluations: all of them.
    """

    def __init__(self, task: Task, config: SearchConfig, evaluations: Sequence[Evaluation]) -> None:
        self._space, self._config, self.evaluations = task.space, config, evaluations
        self.objectives = objectives_of(config, evaluations)
        self.alive: Bool[np.ndarray, " n"] = np.isfinite(self.objectives).all(1)
        genomes: list[Int[np.ndarray, " genes"]] = [task.space.from_string(each.architecture) for each in evaluations]
        self.genomes = np.array(genomes, np.int32)

    def predict(self, trained: Sequence[TrainedNetwork]) -> Forecast | None:
        """What the labels among trained networks predict."""
        labels = labels_of(trained)
        return predict(self._space, self._config, self.genomes, self.objectives, self.evaluations, labels)

    def taken(self, architectures: set[str]) -> Bool[np.ndarray, " n"]:
        """Which evaluations are of one of these networks, or of one that was evaluated before."""
        seen, found = set(architectures), []
        for each in self.evaluations:
            found.append(each.architecture in seen)
            seen.add(each.architecture)
        return np.array(found, bool)


def labels_in(labels: int, generation: int, generations: int) -> int:
    """How many networks are trained after a generation; all of them in the first few.

    Args:
        labels: of the whole search.
        generation: finished generations, from 1.
        generations: of the whole search.

    Examples:
        >>> [labels_in(10, generation, 20) for generation in (1, 2, 3, 4, 5)]
        [3, 2, 3, 2, 0]
        >>> labels_in(10, 1, 1)
        10
    """
    batches = min(BATCHES, generations)
    until = [math.ceil(labels * min(each, batches) / batches) for each in (generation - 1, generation)]
    return until[1] - until[0]
