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
        """The run folder is there, and `epoch` epochs are finished; compilation comes next."""

    def on_step(self, step: int, steps: int) -> None:
        """So many steps of an epoch's are on their way."""

    def on_epoch(self, epoch: Epoch, seconds_left: float) -> None:
        """An epoch was finished and recorded."""

    def on_end(self, result: "TrainResult") -> None:
        """The network is tested, or was before and is only read; an interrupted training does not get here."""
