"""What is told of a search while it runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rwejax.runtime.observer import Observer
from rwejax.runtime.stopwatch import OTHER
from rwejax.searching.config import SearchConfig
from rwejax.storage.trainings import TrainedNetwork

if TYPE_CHECKING:
    from rwejax.evaluate.trust import Trust
    from rwejax.searching.result import SearchResult

PARTS = ("evaluation", "planning", "ask", "tell", "recording", OTHER)
"""What a generation spends its time on: scores and costs of networks, lowering genomes to programs, choosing genomes,
choosing survivors, writing to disk, and the rest, such as the hypervolume and observers."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is after a generation.

    Attributes:
        generation: finished generations.
        evaluations: finished evaluations.
        best: lowest value of the first objective so far; infinite as long as no network has a score.
        hypervolume: what the evaluations dominate, in units of the scores times millions of macs. The reference is the
            worst sensible score of rwe, of any other estimator the worst of the first population that has a score, and
            the largest macs of the space, or nearly so; meta.json has it. 0 as long as no network has a score.
        evaluations_per_second: in this generation.
        seconds_left: expected; from the generations of this process, the first one, which compiles, left out; after
            that one alone, at most.
        seconds: of this generation, from the progress before it. That is taken just before it is written down, so
            that what a generation writes counts in the next one.
        parts: how these seconds are spent, for each of `PARTS`; they add up.
    """

    generation: int
    evaluations: int
    best: float
    hypervolume: float
    evaluations_per_second: float
    seconds_left: float
    seconds: float
    parts: Mapping[str, float]


def make_progress(
    config: SearchConfig,
    generation: int,
    objectives: Float[np.ndarray, "n m"],
    hypervolume: float,
    laps: Sequence[Mapping[str, float]],
) -> Progress:
    """How far a search is.

    Args:
        config: the search.
        generation: finished generations.
        objectives: of the finished evaluations.
        hypervolume: of these.
        laps: for each generation of this process the seconds of the parts that there were.
    """
    seconds = [sum(parts.values()) for parts in laps]
    # The first generation of a process compiles, so it says little of the others.
    pace = float(np.mean(seconds[1:] or seconds))
    return Progress(
        generation=generation,
        evaluations=len(objectives),
        best=float(objectives[:, 0].min()),
        hypervolume=hypervolume,
        evaluations_per_second=config.population_size / seconds[-1],
        seconds_left=pace * (config.generations - generation),
        seconds=seconds[-1],
        parts={name: laps[-1].get(name, 0.0) for name in PARTS},
    )


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """What is trained at the end of a search.

    Attributes:
        epochs: of each network; 0 where there are too few minutes for errors that mean something.
        networks: finalists, random networks and the plain CNN.
        minutes: that the training takes, about; with no epochs, that are needed at least; NaN: not measured.
    """

    epochs: int
    networks: int
    minutes: float


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """How far the training at the end of a search is.

    Attributes:
        network: the one that is finished.
        finished: how many are.
        seconds_left: expected.
    """

    network: TrainedNetwork
    finished: int
    seconds_left: float


class SearchObserver(Observer):
    """Is told how a search goes; does nothing by itself, so override what is of interest.

    What an observer is told of is on disk already. If it raises, the search ends with that exception, and can be
    resumed.

    Examples:
        >>> import tempfile
        >>> import rwejax
        >>> class Printer(rwejax.SearchObserver):
        ...     def on_generation(self, progress):
        ...         print(f"generation {progress.generation}: {progress.evaluations} evaluations")
        ...
        ...     def on_end(self, result):
        ...         print(result.genomes.shape)
        >>> config = rwejax.SearchConfig(nodes=2, channels=4, train_images=100, validation_images=50,
        ...                              population_size=4, generations=2, training_minutes=0,
        ...                              run_dir=tempfile.mkdtemp())
        >>> result = rwejax.search(config, [Printer()])
        generation 1: 4 evaluations
        generation 2: 8 evaluations
        (8, 6)
    """

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """The run folder is there; compilation comes next, unless all generations are finished.

        Args:
            config: the search, its sizes, estimator and paths resolved.
            run_dir: the run folder.
            generation: finished generations: 0 in a new run, more in one that is resumed.
        """

    def on_images(self, summary: str) -> None:
        """What the images are, told after `on_start` of a search that is not finished.

        Args:
            summary: their numbers, and what was left out: a line or two.
        """

    def on_generation(self, progress: Progress) -> None:
        """A generation was evaluated and recorded."""

    def on_calibration(self, plan: TrainingPlan, labels: int, finished: int) -> None:
        """A calibrated search is about to train networks to predict others by.

        Args:
            plan: of all that it trains, its end included.
            labels: networks that it is going to train to predict by.
            finished: how many of them are; above 0 in a search that is resumed.
        """

    def on_label(self, network: TrainedNetwork, finished: int, labels: int) -> None:
        """A network was trained to predict others by, and recorded.

        Args:
            network: what it can do.
            finished: how many are.
            labels: how many there are going to be.
        """

    def on_calibrated(self, trust: "Trust") -> None:
        """All networks are predicted anew.

        Args:
            trust: whether the trained networks agree with each other and with the score.
        """

    def on_finalists(self, plan: TrainingPlan, finished: int) -> None:
        """The generations are over; the networks of the front are trained, and others that they have to beat.

        Args:
            plan: what is trained.
            finished: networks that are; above 0 in a search that is resumed.
        """

    def on_trained(self, progress: TrainingProgress) -> None:
        """A network was trained and recorded."""

    def on_end(self, result: "SearchResult") -> None:
        """The search is finished, or was before and is only read; an interrupted one is not."""
