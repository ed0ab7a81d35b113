"""What trained networks leave on disk: a file of lines, the first of which says what is trained and how.

A line is written when its network is finished, so that a kill at any moment costs the networks on their way alone.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import filelock
import msgspec

from rwejax.errors import InputError, quoted
from rwejax.storage.files import open_own
from rwejax.storage.lines import read_lines, to_json
from rwejax.storage.schema import Natural, Number, Percent, Positive, Seconds, Text, convert, parse_json


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """What a training has measured. On disk, numbers that are not finite are null.

    Attributes:
        architecture: text form of the canonical genome.
        epochs: passes over the train images.
        validation_error: validation images that are told wrong, in %; NaN of a network that has diverged, or through
            which no path leads.
        standard_error: of that, in points, as of so many independent images.
        validation_loss: mean cross-entropy.
        train_loss: of the last epoch, on images as they were changed, while the weights moved.
        train_accuracy: likewise, in %.
        macs: multiply-adds for one image.
        params: parameters.
        seconds: the network's share of the time that those took which were trained side by side.
        role: what a search has trained it for: label, finalist, random or plain; empty elsewhere.
        generation: finished generations of the search when a label was chosen; 0 elsewhere.
    """

    architecture: str
    epochs: int
    validation_error: float
    standard_error: float
    validation_loss: float
    train_loss: float
    train_accuracy: float
    macs: int
    params: int
    seconds: float
    role: str = ""
    generation: int = 0

    def to_json(self) -> str:
        """One line of strict JSON, without its end."""
        return to_json(vars(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Read a line; null becomes NaN.

        Args:
            line: what `to_json` wrote, in this version or another one.

        Raises:
            ValueError: the line is no trained network.
        """
        content = parse_json(line.encode() if isinstance(line, str) else line)
        fields: dict[str, Any] = msgspec.structs.asdict(convert(content, _Line))
        numbers: Any = {name: math.nan if value is None else value for name, value in fields.items()}
        return cls(**numbers)


class Trainings:
    """An open file of trainings, locked until it is closed. Use `open` in a `with` statement.

    Args:
        path: the file.
        lock: descriptor of the locked file.
        setting: what its first line says.
        known: the lines that are there.

    Attributes:
        setting: what its first line says.
        known: trained networks by role and architecture.
    """

    def __init__(
        self, path: Path, lock: int, setting: Mapping[str, Any], known: dict[tuple[str, str], TrainedNetwork]
    ) -> None:
        self.path, self._lock, self.setting, self.known = path, lock, setting, known

    @classmethod
    def open(cls, path: Path, setting: Mapping[str, Any]) -> Self:
        """Open a file, new or written before.

        Args:
            path: the file.
            setting: what is trained and how, as JSON has it; of a file that is there, the first line must say the same.

        Raises:
            InputError: the file cannot be written, holds something else, or was written in another setting.
        """
        header = json.dumps({"setting": setting}, sort_keys=True)
        try:
            lock = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise InputError(f"{str(path)!r} cannot be written ({error.strerror}): give another path") from error
        try:
            if not _locked(lock):
                raise InputError(f"{str(path)!r} is in use by another process: wait for it or stop it")
            os.ftruncate(lock, _whole(path))  # without a last line that a kill has torn
            os.lseek(lock, 0, os.SEEK_END)
            if os.fstat(lock).st_size == 0:
                os.write(lock, header.encode() + b"\n")
                os.fsync(lock)
            known = read_trainings(path, setting)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock, setting, {(each.role, each.architecture): each for each in known})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def append(self, trained: TrainedNetwork) -> None:
        """Add a line; it is on the disk when this returns.

        Args:
            trained: what it says.

        Raises:
            InputError: the file cannot be written any more.
        """
        try:
            os.write(self._lock, (trained.to_json() + "\n").encode())
            os.fsync(self._lock)
        except OSError as error:
            raise InputError(f"{str(self.path)!r} cannot be written any more ({error.strerror}): mend that") from error
        self.known[trained.role, trained.architecture] = trained


def read_trainings(path: Path, setting: Mapping[str, Any] | None = None) -> list[TrainedNetwork]:
    """The complete lines of a file of trainings.

    Args:
        path: the file; one that is missing holds none.
        setting: what its first line must say; None: anything.

    Raises:
        InputError: the file is unreadable, another line than the last is broken, or the setting is another one.
    """
    written, networks = _read(path)
    if setting is not None and written != (asked := json.loads(json.dumps(setting))):
        raise InputError(_difference(path, written, asked))
    return networks


def read_setting(path: Path) -> dict[str, Any]:
    """What the first line of a file of trainings says; nothing where there is no such line yet.

    Args:
        path: the file.

    Raises:
        InputError: the file is unreadable, or another line than the last is broken.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], list[TrainedNetwork]]:
    written: dict[str, Any] = {}

    def parse(line: bytes, number: int) -> TrainedNetwork | None:
        if number:
            return TrainedNetwork.from_json(line)
        written.update(convert(parse_json(line), _Header).setting)
        return None

    return written, [line for line in read_lines(path, parse) if line is not None]


class _Header(msgspec.Struct):
    """The first line."""

    setting: dict[str, Any]


class _Line(msgspec.Struct):
    """Any other line; null is a number that is not finite."""

    architecture: Text
    epochs: Positive
    validation_error: Percent | None
    standard_error: Percent | None
    validation_loss: Number | None
    train_loss: Number | None
    train_accuracy: Percent | None
    macs: Natural
    params: Natural
    seconds: Seconds = 0.0
    role: Text = ""
    generation: Natural = 0


def _difference(path: Path, found: dict[str, Any], setting: dict[str, Any]) -> str:
    name = next(key for key in (*setting, *found) if found.get(key) != setting.get(key))
    return (
        f"{str(path)!r} was written with {name} {quoted(found.get(name))}, and now it is {quoted(setting.get(name))}: "
        "give another path"
    )


def _locked(descriptor: int) -> bool:
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True  # some network file systems have no locks


def _whole(path: Path) -> int:
    content = path.read_bytes()
    return content.rfind(b"\n") + 1
