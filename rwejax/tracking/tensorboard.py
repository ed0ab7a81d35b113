"""Event files for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwejax.tracking.observer import Config, TrackingObserver, require


class TensorBoardObserver(TrackingObserver):
    """Writes event files to the folder `tensorboard` of the run folder, for searches and for trainings.

    When a run is resumed, TensorBoard hides what an interrupted process has written beyond the last checkpoint.

    Raises:
        InputError: tensorboardX is missing.
    """

    def __init__(self) -> None:
        super().__init__()
        require("tensorboardX", "tensorboard")
        self._writer: Any = None

    def _open(self, config: Config, run_dir: Path, finished: int) -> None:
        from tensorboardX import SummaryWriter

        # A file's name has whole seconds, and one of the same name would be overwritten.
        suffix = f".{finished:06}"
        self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=finished + 1, filename_suffix=suffix)

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def _close(self, ended: bool) -> None:
        self._writer.close()
