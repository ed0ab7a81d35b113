"""Runs at Weights & Biases."""

import dataclasses
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwejax.errors import InputError
from rwejax.storage.atomic import replacing
from rwejax.tracking.observer import Config, TrackingObserver, require


class WandbObserver(TrackingObserver):
    """Sends a search or a training to Weights & Biases, as one run there however often it is resumed.

    Files go to the folder `wandb` of the run folder. With the environment variable WANDB_MODE=offline nothing leaves
    the machine until `wandb sync` is called. What an interrupted process has sent beyond the last checkpoint stays.

    Args:
        options: of `wandb.init`, such as project="rwejax", which is the default, or mode="offline".

    Raises:
        InputError: wandb is missing.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        require("wandb", "wandb")
        self._options = options
        self._run: Any = None

    def _open(self, config: Config, run_dir: Path, finished: int) -> None:
        import wandb

        (run_dir / "wandb").mkdir(exist_ok=True)  # else wandb chooses a folder of its own
        given: dict[str, Any] = {
            "project": "rwejax",
            "name": run_dir.name,
            "dir": run_dir,
            "id": _run_id(run_dir / "wandb" / "run-id"),
            "resume": "allow",
            "reinit": "create_new",  # what else runs in this process is left alone
            "config": {name: _plain(value) for name, value in dataclasses.asdict(config).items()},
            "settings": wandb.Settings(console="off"),  # which would take the screen from the bar
        }
        try:
            self._run = wandb.init(**given | self._options)
        except wandb.Error as error:
            raise InputError(
                f"wandb cannot start ({error}): call `wandb login`, or set WANDB_MODE=offline, and resume the run"
            ) from error

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def _close(self, ended: bool) -> None:
        self._run.finish(exit_code=0 if ended else 1)


def _run_id(path: Path) -> str:
    """The name of a run folder's run, drawn when it is first asked for."""
    if not path.exists():
        with replacing(path) as file:
            file.write(secrets.token_hex(8))
    return path.read_text(encoding="utf-8")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
