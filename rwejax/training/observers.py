"""What is told of a training while it runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from rwejax.runtime.observer import Observer
from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch

if TYPE_CHECKING:
    from rwejax.training.result import TrainResult


class TrainObserver(Observer):
    """Is told how a training goes; does nothing by itself, so override what is of interest.

    Of epochs it is told when they are on disk. If it raises, the training ends with that exception, and can be resumed.
    """

    def on_start(self, config: TrainConfig, run_dir: Path, epoch: int, macs: int, params: int) -> None:
        """The run folder is there; compilation comes next, unless all epochs are finished.

        Args:
            config: the training, its paths resolved.
            run_dir: the run folder.
            epoch: finished epochs: 0 in a new run, more in one that is resumed.
            macs: multiply-adds of the network for one image.
            params: its parameters.
        """

    def on_images(self, summary: str) -> None:
        """What the images are, told after `on_start` of a training that is not finished.

        Args:
            summary: their numbers, what was left out, and how they are changed: a line or more.
        """

    def on_step(self, step: int, steps: int) -> None:
        """A step is about to begin. The device may be behind: steps are not waited for.

        Args:
            step: steps of the epoch that have begun before it, from 0.
            steps: all steps of the epoch.
        """

    def on_epoch(self, epoch: Epoch, seconds_left: float) -> None:
        """An epoch was finished and recorded.

        Args:
            epoch: what was measured after it.
            seconds_left: expected for the missing epochs, by the pace of those of this process; the first one, which
                compiles, is left out; after that one alone, at most.
        """

    def on_end(self, result: "TrainResult") -> None:
        """The network is tested, or was before and is only read; an interrupted training does not get here."""
