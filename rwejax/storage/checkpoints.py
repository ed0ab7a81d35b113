"""The state of an algorithm on disk, by Orbax: named arrays, one folder a generation, each whole or absent."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from rwejax.errors import InputError

_KEPT = 2


class Checkpoints:
    """The checkpoints in a folder, the last two of them kept.

    Args:
        folder: where they lie; made if it is missing.
        read_only: whether nothing is made, written or tidied up, for a run that another process may be at work on.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._folder = folder.absolute()
        if not read_only:
            self._folder.mkdir(exist_ok=True)
        # Of several hosts only the first writes, and it must not wait for the others.
        first = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None if read_only else _KEPT,
            save_interval_steps=0 if read_only else 1,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=not read_only,
            create=False,
            read_only=read_only,
            multiprocessing_options=first,
        )
        with _quiet_log():
            self._manager = ocp.CheckpointManager(
                self._folder, item_handlers=ocp.StandardCheckpointHandler(), options=options
            )

    def save(self, generation: int, state: Mapping[str, np.ndarray]) -> None:
        """Save the state after a generation; the checkpoint is complete when this returns.

        Args:
            generation: the number of finished generations, which grows from call to call.
            state: arrays by name.
        """
        with _quiet_log():
            self._manager.save(generation, args=ocp.args.StandardSave(dict(state)))
            self._manager.wait_until_finished()

    def load(self, like: Mapping[str, Any]) -> tuple[int, dict[str, np.ndarray]] | None:
        """Load the newest checkpoint.

        Args:
            like: names, shapes and dtypes of the arrays that are expected.

        Returns:
            The number of finished generations, and the state after them; None if there is no checkpoint yet.

        Raises:
            InputError: the checkpoint cannot be read, or is of another run.
        """
        generation = self._manager.latest_step()
        if generation is None:
            return None
        try:
            with _quiet_log(), _quiet_failure():
                found = self._manager.item_metadata(generation).tree
                if fits := _shapes(found) == _shapes(like):
                    expected = {name: np.zeros(array.shape, array.dtype) for name, array in like.items()}
                    state = self._manager.restore(generation, args=ocp.args.StandardRestore(expected))
                    assert _shapes(state) == _shapes(like)
        except Exception as error:  # tensorstore, zarr and JSON, each with its own errors
            raise InputError(
                f"checkpoint {str(self._folder / str(generation))!r} is broken: delete it to go on from the one before"
            ) from error
        if not fits:
            raise InputError(
                f"checkpoint {str(self._folder / str(generation))!r} is whole and of another run, for it has arrays of "
                "other shapes: restore the config.yaml and the images that the run began with"
            )
        return generation, state

    def close(self) -> None:
        """End Orbax's threads."""
        self._manager.close()


def read_newest(folder: Path, like: Mapping[str, Any]) -> tuple[int, dict[str, np.ndarray]] | None:
    """Load the newest checkpoint of a folder, in which nothing changes; see `Checkpoints.load`.

    Args:
        folder: of the checkpoints.
        like: names, shapes and dtypes of the arrays that are expected.

    Raises:
        InputError: the checkpoint cannot be read, or is of another run.
    """
    if not folder.is_dir():
        return None
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        return checkpoints.load(like)


def _shapes(arrays: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (tuple(array.shape), np.dtype(array.dtype)) for name, array in arrays.items()}


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _quiet_failure() -> Iterator[None]:
    """Keep other tracebacks than the caller's off the screen.

    When one array of a broken checkpoint cannot be read, Orbax closes its event loop, and the reads of the others,
    still under way, complain a moment later, in threads that nobody listens to.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    except Exception:
        time.sleep(0.2)
        raise
    finally:
        sys.unraisablehook = hook
