"""The end of a search: its finalists are trained for real, and beside them what they have to beat.

The first line of trainings.jsonl says for how many epochs, and each further one what a network can do. So a search that
is resumed there, or repeated with as many epochs, comes to the same errors.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rwejax.runtime.signals import uninterrupted
from rwejax.searching.front import FINALIST, FINALLY, LABEL, PLAIN, RANDOM
from rwejax.searching.observers import SearchObserver, TrainingProgress
from rwejax.searching.records import Evaluation, Run
from rwejax.searching.trained.finalists import PLAIN_GENOME, Finalists, choose
from rwejax.searching.trained.plan import make_plan
from rwejax.searching.trained.trainer import NetworkTrainer
from rwejax.storage.trainings import TrainedNetwork, Trainings


def train_finalists(
    run: Run,
    trainer: NetworkTrainer,
    evaluations: Sequence[Evaluation],
    genomes: Int[np.ndarray, "n genes"],
    objectives: Float[np.ndarray, "n m"],
    observers: Sequence[SearchObserver],
) -> None:
    """Train the finalists of a search, and what they have to beat; those that trainings.jsonl has are not trained anew.

    Args:
        run: its folder.
        trainer: trains networks.
        evaluations: all of them.
        genomes: of the evaluations, in canonical form.
        objectives: what the search has minimised, predicted or measured.
        observers: are told of each trained network.

    Raises:
        InputError: the folder cannot be written any more.
    """
    if np.isfinite(objectives).all(1).any():
        config = run.config
        finalists = choose(config.seed, trainer.of(), genomes, objectives)
        plan = make_plan(run.path / run.trainings, config, trainer, finalists, evaluations)
        with Trainings.open(run.path / run.trainings, trainer.setting(plan)) as file:
            run.write_meta({**run.read_meta(), "finally_trained": finalists.number if plan.epochs else 0})
            for observer in observers:
                observer.on_finalists(plan, _finished(file))
            if plan.epochs:
                _train(trainer, finalists, file, observers)
    trainer.end()


def _finished(file: Trainings) -> int:
    return sum(role in FINALLY for role, _ in file.known)


def _train(trainer: NetworkTrainer, finalists: Finalists, file: Trainings, observers: Sequence[SearchObserver]) -> None:
    """Train what is missing in the file."""
    space, plain = trainer.of().space, finalists.plain
    for genome in finalists.genomes:  # what was trained to calibrate the search need not be trained again
        label = file.known.get((LABEL, text := space.to_string(genome)))
        if label is not None and (FINALIST, text) not in file.known:
            with uninterrupted():
                file.append(dataclasses.replace(label, role=FINALIST, seconds=0.0))
    clock = _Clock(finalists, file)

    def tell(network: TrainedNetwork) -> None:
        progress = TrainingProgress(network, _finished(file), clock.seconds_left(network))
        for observer in observers:
            observer.on_trained(progress)

    roles = [FINALIST] * len(finalists.genomes) + [RANDOM] * len(finalists.random)
    for network in trainer.append(file, np.concatenate([finalists.genomes, finalists.random]), roles):
        tell(network)
    if plain:
        for network in trainer.append(file, PLAIN_GENOME, [PLAIN], plain.channels):
            tell(network)


class _Clock:
    """Expects that a network takes a time in proportion to its multiply-adds.

    Args:
        finalists: all that is trained.
        file: what is trained already.
    """

    def __init__(self, finalists: Finalists, file: Trainings) -> None:
        self._begin = time.perf_counter()
        self._left = finalists.macs - sum(each.macs for (role, _), each in file.known.items() if role in FINALLY)
        self._done = 0

    def seconds_left(self, network: TrainedNetwork) -> float:
        """After another one is finished.

        Args:
            network: the one.
        """
        self._done += network.macs
        self._left -= network.macs
        return max(0.0, (time.perf_counter() - self._begin) * self._left / max(self._done, 1))
