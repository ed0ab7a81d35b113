"""What is sent of a search and of a training, wherever it goes."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from rwejax.errors import InputError
from rwejax.searching.config import SearchConfig
from rwejax.searching.observers import Progress, SearchObserver, TrainingProgress
from rwejax.searching.result import SearchResult
from rwejax.training.config import TrainConfig
from rwejax.training.observers import TrainObserver
from rwejax.training.records import Epoch
from rwejax.training.result import TrainResult

Config = SearchConfig | TrainConfig


class TrackingObserver(SearchObserver, TrainObserver, ABC):
    """Sends the numbers of each generation, or of each epoch and the test; of a finished run that is only read, none.

    An observer may be used for one run after another.
    """

    def __init__(self) -> None:
        self._opened = self._ended = False
        self._generations = 0

    def on_start(self, config: Config, run_dir: Path, finished: int, *_: int) -> None:
        """Begin, or go on, after so many generations or epochs; a finished run opens nothing.

        Args:
            config: of the search or the training.
            run_dir: its run folder.
            finished: generations or epochs.
        """
        self._ended = False
        self._generations = config.generations if isinstance(config, SearchConfig) else 0
        if finished < (config.generations if isinstance(config, SearchConfig) else config.epochs):
            self._open(config, run_dir, finished)
            self._opened = True

    def on_generation(self, progress: Progress) -> None:
        """Send how far the search is, and where its time went."""
        names = "hypervolume", "best", "evaluations", "evaluations_per_second", "seconds"
        values = {name: getattr(progress, name) for name in names}
        self._write(progress.generation, values | {f"seconds/{name}": value for name, value in progress.parts.items()})

    def on_trained(self, progress: TrainingProgress) -> None:
        """Send the error of a network that was trained at the end of the search, in %, one step after another."""
        if self._opened:
            step = self._generations + progress.finished
            self._write(step, {f"trained_error/{progress.network.role}": progress.network.validation_error})

    def on_epoch(self, epoch: Epoch, seconds_left: float) -> None:
        """Send what the network can do: losses, accuracies in %, and the seconds of the epoch.

        Args:
            epoch: what was measured after it.
            seconds_left: not sent.
        """
        parts = [(name, part) for name in ("loss", "accuracy") for part in ("train", "validation")]
        values = {f"{name}/{part}": getattr(epoch, f"{part}_{name}") for name, part in parts}
        self._write(epoch.epoch, values | {"seconds": epoch.seconds})

    def on_end(self, result: SearchResult | TrainResult) -> None:
        """Send what the network could do at last, if it was trained just now."""
        self._ended = True
        if self._opened and isinstance(result, TrainResult) and (test := result.test):
            self._write(len(result.epochs), {"loss/test": test.test_loss, "accuracy/test": test.test_accuracy})

    def close(self) -> None:
        """Close what was opened."""
        if self._opened:
            self._opened = False
            self._close(self._ended)

    @abstractmethod
    def _open(self, config: Config, run_dir: Path, finished: int) -> None:
        """Begin, or go on, after so many generations or epochs."""

    @abstractmethod
    def _write(self, step: int, values: Mapping[str, float]) -> None:
        """Send numbers, by name, of a generation or an epoch, counted from 1."""

    @abstractmethod
    def _close(self, ended: bool) -> None:
        """End, after all of it or after an interruption."""


def require(package: str, extra: str) -> None:
    """Refuse to go on without a package of an extra.

    Args:
        package: its name in imports.
        extra: of ours, which installs it.

    Raises:
        InputError: it is missing.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f"package {package!r} is missing: pip install 'rwejax[{extra}]'")
