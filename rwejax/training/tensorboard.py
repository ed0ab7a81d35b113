"""What TensorBoard shows of a training, where tensorboardX is installed."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rwejax.training.records import Epoch


class Board:
    """Event files in the run folder; use it in a `with` statement.

    Args:
        run_dir: the run folder.
        epoch: finished epochs; what an interrupted process has written beyond them is hidden.
    """

    def __init__(self, run_dir: Path, epoch: int) -> None:
        self._writer: Any = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=epoch + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, epoch: "Epoch") -> None:
        """Write down an epoch."""
        if self._writer is None:
            return
        for part in ("train", "validation"):
            for name in ("loss", "accuracy"):
                self._writer.add_scalar(f"{name}/{part}", getattr(epoch, f"{part}_{name}"), epoch.epoch)
        self._writer.flush()
