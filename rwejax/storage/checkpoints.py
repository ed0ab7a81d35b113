"""The state of an algorithm on disk, by Orbax: named arrays, one folder a generation, each whole or absent."""

import contextlib
import errno
import gc
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from rwejax.errors import InputError, abridged, quoted
from rwejax.storage.files import check_tree, newest_checkpoint

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
            self._manager = ocp.CheckpointManager(self._folder, options=options)

    def save(self, generation: int, state: Mapping[str, np.ndarray]) -> None:
        """Save the state after a generation; the checkpoint is complete when this returns.

        Args:
            generation: the number of finished generations, which grows from call to call.
            state: arrays by name.

        Raises:
            OSError: the disk is full or has gone; what was there before is still whole.
        """
        try:
            with _quiet_log(), _quiet_failure():
                self._manager.save(generation, args=ocp.args.StandardSave(dict(state)))
                self._manager.wait_until_finished()
        except Exception as error:  # tensorstore says in a ValueError what the operating system has said
            raise _os_error(error) from error

    def load(self, like: Mapping[str, Any]) -> tuple[int, dict[str, np.ndarray]] | None:
        """Load the newest checkpoint.

        Args:
            like: names, shapes and dtypes of the arrays that are expected.

        Returns:
            The number of finished generations, and the state after them; None if there is no checkpoint yet.

        Raises:
            InputError: the checkpoint cannot be read, or is of another search or network.
        """
        generation = newest_checkpoint(self._folder)
        if generation is None:
            return None
        path = self._folder / str(generation)
        expected = {name: np.zeros(array.shape, array.dtype) for name, array in like.items()}
        try:
            with _quiet_log(), _quiet_failure():
                _check_arrays(path, expected)  # before a byte of them is read: an array may be of any size
                state = self._manager.restore(generation, args=ocp.args.StandardRestore(expected))
        except InputError:
            raise
        except Exception as error:  # tensorstore, zarr and JSON, each with its own errors
            raise InputError(
                f"checkpoint {str(path)!r} cannot be read: move it out of the run folder to go on from the one before"
            ) from error
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
    check_tree(folder)
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        return checkpoints.load(like)


def _check_arrays(path: Path, expected: Mapping[str, np.ndarray]) -> None:
    """Refuse a checkpoint of other arrays by what it says of them."""
    found = ocp.StandardCheckpointHandler().metadata(path / "default").tree
    for name in sorted({*found, *expected}, key=str):
        mine, other = expected.get(name), found.get(name)
        if mine is None or other is None or (mine.shape, mine.dtype) != (tuple(other.shape), other.dtype):
            raise InputError(
                f"checkpoint {str(path)!r} is of another search or network: it has {_described(other)} where "
                f"{_described(mine)} is expected as {quoted(name)}; put the run's own one there"
            )
        chunk = other.storage.chunk_shape if other.storage else None
        if chunk is not None and math.prod(chunk) > max(1, mine.size):
            raise InputError(f"checkpoint {str(path)!r} is none that rwejax has written: put the run's own one there")


def _described(array: Any) -> str:
    return "nothing" if array is None else abridged(f"{np.dtype(array.dtype)}{list(array.shape)}", 80)


def _os_error(error: Exception) -> OSError:
    """What the operating system has said, as it says it."""
    known = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO)
    number = getattr(error, "errno", None) or next((each for each in known if os.strerror(each) in str(error)), None)
    if number is None:
        return OSError(errno.EIO, abridged(" ".join(str(error).split()), 200))
    return OSError(number, os.strerror(number))


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _quiet_failure() -> Iterator[None]:
    """Keep other tracebacks than the caller's off the screen.

    When one array cannot be read or written, Orbax closes its event loop, and the tasks of the others, still under way,
    complain a moment later, in threads that nobody listens to, or when they are collected.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    except Exception:
        time.sleep(0.2)
        gc.collect()
        raise
    finally:
        sys.unraisablehook = hook
