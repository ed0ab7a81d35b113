"""For how many epochs a search trains networks: what fits in the minutes that the user gives it."""

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from rwejax.searching.config import SearchConfig
from rwejax.searching.observers import TrainingPlan
from rwejax.searching.records import Evaluation
from rwejax.searching.trained.finalists import PLAIN_GENOME, Finalists
from rwejax.searching.trained.trainer import NetworkTrainer
from rwejax.storage.trainings import read_setting

MOST_EPOCHS = 100
"""However many minutes there are."""

LEAST_IMAGES = 15_000
"""That each network sees at least, all its epochs together: after fewer, errors tell who learns sooner, not who ends
better."""

_TIMES_AN_EVALUATION = 18  # that a train image takes of an evaluated one: 17 in micro and 20 in macro, on a CPU
_FAR = 4
_LONG = 1.0  # seconds of an epoch, in which all else is little
_MEASURED = 4


def make_plan(
    path: Path,
    config: SearchConfig,
    trainer: NetworkTrainer,
    finalists: Finalists,
    evaluations: Sequence[Evaluation],
    labels: int = 0,
) -> TrainingPlan:
    """What the user has said, or trainings.jsonl, or else what a short measurement gives.

    Args:
        path: trainings.jsonl, which may be missing.
        config: the search.
        trainer: trains, to measure how long that takes.
        finalists: what is trained at the end, or what it would be now.
        evaluations: all so far.
        labels: networks that are trained besides.
    """
    networks = finalists.number + labels
    written = read_setting(path)
    epochs = config.training_epochs or written.get("epochs")
    if epochs is not None:
        return TrainingPlan(epochs, networks, written.get("minutes", math.nan))
    hopeless = _hopeless(trainer, networks, evaluations, config.training_minutes)
    return hopeless or _measured(trainer, finalists, labels, config.training_minutes)


def _hopeless(
    trainer: NetworkTrainer, networks: int, evaluations: Sequence[Evaluation], minutes: float
) -> TrainingPlan | None:
    """What would be needed where the minutes are far too few, by the time of an evaluation: nothing is compiled yet."""
    images, validation = trainer.of().train_images, trainer.of().validation_images
    later = [each.seconds for each in evaluations if each.generation > 1]  # the first one compiles
    seconds = statistics.median(later or [0.0])
    an_image = _TIMES_AN_EVALUATION * seconds / (images + validation)
    expected = networks * max(LEAST_IMAGES, images) * an_image / 60
    return TrainingPlan(0, networks, expected) if expected > _FAR * minutes else None


def _measured(trainer: NetworkTrainer, finalists: Finalists, labels: int, minutes: float) -> TrainingPlan:
    """As many epochs of all networks as fit in the minutes, by the time that one takes."""
    begin = time.perf_counter()
    genomes = np.concatenate([finalists.genomes, finalists.random])
    macs = trainer.of().space.macs(genomes)
    order, size = np.argsort(macs, kind="stable"), trainer.of().networks_at_once
    small, large = order[:size], order[-size:]
    sizes = [float(macs[each].mean()) for each in (small, large)]
    seconds = [_seconds_of_epoch(trainer, genomes[each]) for each in (small, large)]
    # Those that train side by side are of about one size, between the smallest and the largest.
    epoch = float(np.interp(macs, sizes, seconds).sum()) / size * (1 + labels / len(genomes))
    if finalists.plain:
        epoch += _seconds_of_epoch(trainer, PLAIN_GENOME, finalists.plain.channels)
    spent = time.perf_counter() - begin
    least = min(MOST_EPOCHS, math.ceil(LEAST_IMAGES / trainer.of().train_images))
    epochs = min(MOST_EPOCHS, int((60 * minutes - spent) / epoch))
    networks = finalists.number + labels
    if epochs < least:
        return TrainingPlan(0, networks, (spent + least * epoch) / 60)
    return TrainingPlan(epochs, networks, (spent + epochs * epoch) / 60)


def _seconds_of_epoch(
    trainer: NetworkTrainer, genomes: Int[np.ndarray, "n genes"], channels: int | None = None
) -> float:
    """Of networks side by side, once nothing is compiled any more; of a short epoch, without what comes before it."""

    def seconds(epochs: int) -> float:
        start = time.perf_counter()
        list(trainer.train(genomes, epochs, channels))
        return time.perf_counter() - start

    seconds(1)
    one = seconds(1)
    return one if one > _LONG else max(seconds(1 + _MEASURED) - one, _MEASURED * one / 4) / _MEASURED
