"""What is told of a training while it runs."""

from pathlib import Path

from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch


class TrainObserver:
    """Is told how a training goes; does nothing by itself, so override what is of interest."""

    def on_start(self, config: TrainConfig, run_dir: Path, epoch: int, macs: int, params: int) -> None:
        """The run folder is there, and `epoch` epochs are finished; compilation comes next."""

    def on_step(self, step: int, steps: int) -> None:
        """So many steps of an epoch's are on their way."""

    def on_epoch(self, epoch: Epoch, seconds_left: float) -> None:
        """An epoch was finished and recorded."""
