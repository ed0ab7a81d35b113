"""A folder that a command writes as it goes, so that a kill at any moment is harmless.

    config.yaml    what is done; written first and whole, so that a folder without it is no run
    meta.json      versions, device and times; see `rwejax.storage.meta`
    a .jsonl file  one line a step, appended and synced; of a search, history.csv too
    checkpoints/   the state after each of the last two steps

The order of writing, lines before checkpoint, leaves on disk a checkpoint and at least the lines that it presumes.
Whatever lies beyond it is cut back and done again.
"""

import contextlib
import errno
import itertools
import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import filelock

from rwejax.config import RunConfig
from rwejax.errors import InputError
from rwejax.storage.files import CHECKPOINTS, check_own, check_regular, check_tree, open_own, partial_path
from rwejax.storage.lines import lines_of
from rwejax.storage.meta import Meta, read_meta, write_meta
from rwejax.storage.yaml_config import read_stored, write_config

if TYPE_CHECKING:
    from rwejax.storage.checkpoints import Checkpoints

Config = TypeVar("Config", bound=RunConfig)

# Windows lets nobody read a locked file, so that it takes an empty one there.
_LOCK_FILE = ".lock" if sys.platform == "win32" else "config.yaml"


class Folder(ABC):
    """An open run folder. It is locked until it is closed, for two processes would write into each other's lines.

    Use `create` or `open` of a subclass, in a `with` statement.

    Args:
        path: the folder.
        config: what is done.
        lock: descriptor of the locked config.yaml; closing it gives the folder free.

    Attributes:
        path: the folder.
        config: what is done.
        defaults: where the fields come from that config.yaml does not name.
        lines: name of the file of lines.
        appended: names of all files that are appended to.
    """

    defaults: ClassVar[Any]
    lines: ClassVar[str]
    appended: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path, config: Any, lock: int) -> None:
        self.path, self.config, self._lock = path, config, lock
        self._checkpoints: Checkpoints | None = None

    @classmethod
    def create(cls, config: RunConfig) -> Self:
        """Start a folder, `config.run_dir` or one that is named after what is done and the time.

        Args:
            config: what is done; written to config.yaml.

        Raises:
            InputError: the folder holds something or cannot be written.
        """
        try:
            path = _make_folder(config.run_dir, cls.name(config))
            write_config(path / "config.yaml", config)
        except OSError as error:
            raise _unwritable(error, config.run_dir) from error
        return cls(path, config, _take_lock(path))

    @classmethod
    @abstractmethod
    def name(cls, config: Any) -> str:
        """What is done, for the name of a folder."""

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing folder, to go on in it.

        Args:
            path: the folder.

        Raises:
            InputError: the folder holds no run, its config.yaml is broken, something in it leads out of it, or another
                process works on it.
        """
        path = Path(path)
        config = read_stored(path, cls.defaults)
        check_own(path)
        check_tree(path / CHECKPOINTS)
        return cls(path, config, _take_lock(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        os.close(self._lock)

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Write meta.json.

        Args:
            meta: all that it says.

        Raises:
            InputError: the folder cannot be written any more.
        """
        with self.writing():
            write_meta(self.path, meta)

    def read_meta(self) -> Meta:
        """What meta.json says; see `rwejax.storage.meta`."""
        return read_meta(self.path)

    def replace_config(self, config: Any) -> None:
        """Write config.yaml anew, and keep the folder locked.

        Args:
            config: what is done from here on.
        """
        with self.writing():
            write_config(self.path / "config.yaml", config)
        if _LOCK_FILE == "config.yaml":  # the file that was locked is gone
            before, self._lock = self._lock, _take_lock(self.path)
            os.close(before)
        self.config = config

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Say in one sentence, an `InputError`, that the disk is full or has gone.

        Raises:
            InputError: the body ended in an OSError.
        """
        try:
            yield
        except OSError as error:
            raise InputError(
                f"run folder {str(self.path)!r} cannot be written any more ({error.strerror}): mend that and resume it"
            ) from error

    @property
    def checkpoints(self) -> "Checkpoints":
        """The states; a finished run that is only read makes no folder for them."""
        if self._checkpoints is None:
            from rwejax.storage.checkpoints import Checkpoints  # which starts JAX

            with self.writing():
                self._checkpoints = Checkpoints(self.path / CHECKPOINTS)
        return self._checkpoints

    def check_writable(self) -> None:
        """Refuse, before anything slow is done, a folder that may only be read.

        Raises:
            InputError: the folder, or a file in it, cannot be written.
        """
        with self.writing():
            for path in (self.path, self.path / CHECKPOINTS):
                _refuse_read_only(path)
            for name in self.appended:
                with contextlib.suppress(FileNotFoundError):
                    os.close(open_own(self.path / name, os.O_WRONLY))

    def append(self, lines: Sequence[str], file: str | None = None) -> None:
        """Add lines to `lines`, or to another file; they are on the disk when this returns.

        Args:
            lines: without their ends.
            file: the other file's name, in the folder.

        Raises:
            InputError: the folder cannot be written any more.
        """
        path = self.path / (file or self.lines)
        with self.writing(), open(open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as opened:
            opened.write("".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace"))
            opened.flush()
            os.fsync(opened.fileno())

    def cut(self, count: int, file: str | None = None) -> int:
        """Keep the first `count` complete lines of `lines`, or of another file; returns how many there are then.

        Args:
            count: how many lines may stay.
            file: the other file's name, in the folder.

        Raises:
            InputError: the folder cannot be written any more.
        """
        path = self.path / (file or self.lines)
        with self.writing():
            whole = itertools.takewhile(lambda line: line.endswith(b"\n"), lines_of(path))
            sizes = [len(line) for line in itertools.islice(whole, count)]
            if path.exists() and path.stat().st_size > sum(sizes):
                descriptor = open_own(path, os.O_WRONLY)
                try:
                    os.ftruncate(descriptor, sum(sizes))
                finally:
                    os.close(descriptor)
        return len(sizes)


def _refuse_read_only(path: Path) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_free(path: Path | None) -> None:
    """Refuse, before anything slow is done, a run folder that cannot be started in.

    Args:
        path: the folder to be; None: one in `runs`, named after what is done and the time.

    Raises:
        InputError: the folder holds something, is a file, or cannot be written.
    """
    folder = Path("runs") if path is None else Path(path)
    try:
        if path is not None and folder.exists():
            _check_empty(folder)
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(20, "Not a directory", str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(folder))
    except OSError as error:
        raise _unwritable(error, path) from error


def _check_empty(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"run_dir {str(folder)!r} is a file: give a folder that is missing or empty")
    part = partial_path(folder / "config.yaml")  # a run that was killed before it began
    if any(entry != part for entry in folder.iterdir()):
        mend = "resume it with --resume, or give" if (folder / "config.yaml").exists() else "give"
        raise InputError(f"run_dir {str(folder)!r} is not empty: {mend} a folder that is missing or empty")


def _make_folder(run_dir: Path | None, name: str) -> Path:
    if run_dir is not None:
        path = Path(run_dir)
        path.mkdir(parents=True, exist_ok=True)
        _check_empty(path)
        return path
    name = re.sub(r"[^\w-]+", "-", name) + f"-{datetime.now():%Y%m%d-%H%M%S}"
    Path("runs").mkdir(exist_ok=True)
    # Several runs that are started in the same second must not share a folder.
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        with contextlib.suppress(FileExistsError):
            path = Path("runs") / (name + suffix)
            path.mkdir()
            return path
    raise FileExistsError(17, "File exists", name)


def _unwritable(error: OSError, run_dir: Path | None) -> InputError:
    path = error.filename if run_dir is None else run_dir
    return InputError(f"run_dir {str(path)!r} cannot be written ({error.strerror}): give another folder with --run-dir")


def is_in_use(path: Path) -> bool:
    """Whether a process has a run folder open; this neither waits nor writes.

    Args:
        path: the run folder.

    Returns:
        False, too, where nobody can tell: the folder is unreadable, or its file system has no locks.
    """
    try:
        check_regular(path / _LOCK_FILE)
        lock = os.open(path / _LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(lock)
    finally:
        os.close(lock)


def _take_lock(path: Path) -> int:
    """Lock the folder; the lock is gone when the descriptor is closed, by a kill too."""
    try:
        lock = os.open(path / _LOCK_FILE, os.O_RDONLY | (0 if _LOCK_FILE == "config.yaml" else os.O_CREAT))
    except OSError as error:
        raise InputError(f"run folder {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    for pause in (0, 0.1):  # `is_in_use` of another process has it for a moment
        time.sleep(pause)
        if _lock(lock):
            return lock
    os.close(lock)
    raise InputError(f"run folder {str(path)!r} is in use by another process: wait for it or stop it")


def _lock(descriptor: int) -> bool:
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True  # some network file systems have no locks, which is no reason to refuse them
