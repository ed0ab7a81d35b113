"""What a training leaves on disk.

config.yaml     the training
meta.json       versions, device and times
metrics.jsonl   one line an epoch
predictions.csv what is predicted of each test image, and mistakes.png, the worst mistakes as pictures
result.json     the accuracy on the test images, taken once, at the end
curve.png       the accuracies as a figure, or curve.svg
checkpoints/    weights, statistics and momentum after each of the last two epochs
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rwejax.errors import InputError
from rwejax.storage.atomic import replacing
from rwejax.storage.files import read_whole
from rwejax.storage.lines import read_lines, to_json
from rwejax.storage.run_dir import Folder
from rwejax.storage.schema import Number, Percent, Positive, Seconds, convert, parse_json
from rwejax.training.config import TrainConfig

Record = TypeVar("Record")

RESULT = "result.json"

_MOST_BYTES = 2**16


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One line of metrics.jsonl.

    Attributes:
        epoch: from 1.
        train_loss: mean cross-entropy over the train images as they were changed, while the weights moved.
        train_accuracy: of the same, in %.
        validation_loss: mean cross-entropy after the epoch.
        validation_accuracy: of the same, in %.
        seconds: of the epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Test:
    """What result.json says.

    Attributes:
        test_loss: mean cross-entropy.
        test_accuracy: in %.
        test_images: how many they are.
    """

    test_loss: float
    test_accuracy: float
    test_images: int


class Training(Folder):
    """The folder of a training."""

    defaults = TrainConfig()
    lines = "metrics.jsonl"
    appended = (lines,)

    config: TrainConfig

    @classmethod
    def name(cls, config: TrainConfig) -> str:
        """Space and dataset."""
        return f"train-{config.space_name}-{config.dataset_name}"

    def record(self, epoch: Epoch, state: dict[str, Any]) -> None:
        """Write down an epoch, in the order that makes a kill harmless.

        Args:
            epoch: what was measured after it.
            state: the arrays after it, by name.

        Raises:
            InputError: the folder cannot be written any more.
        """
        with self.writing():
            self.append([to_json(vars(epoch))])
            self.checkpoints.save(epoch.epoch, state)

    def epochs(self) -> list[Epoch]:
        """The complete lines of metrics.jsonl; see `read_epochs`."""
        return read_epochs(self.path)

    def test(self) -> Test | None:
        """What result.json says, if it is there; see `read_test`."""
        return read_test(self.path)

    def write_test(self, test: Test) -> None:
        """Write result.json."""
        with self.writing(), replacing(self.path / RESULT) as file:
            file.write(to_json(vars(test)) + "\n")


def read_epochs(path: Path) -> list[Epoch]:
    """The complete lines of a training's metrics.jsonl; a last line that a kill has torn is left out.

    Args:
        path: the run folder; without the file, it has no epochs.

    Raises:
        InputError: the file is unreadable.
        BrokenLine: another line than the last is broken, or out of order; `intact` holds the epochs before it.
    """

    def parse(line: bytes, number: int) -> Epoch:
        epoch = _from_json(line, _EpochLine, Epoch)
        if epoch.epoch != number + 1:
            raise ValueError(f"the epoch is {epoch.epoch}, not {number + 1}")
        return epoch

    return read_lines(path / Training.lines, parse)


def read_test(path: Path) -> Test | None:
    """What a training's result.json says, if it is there.

    Args:
        path: the run folder.

    Raises:
        InputError: the file is unreadable or broken.
    """
    path = path / RESULT
    try:
        return _from_json(read_whole(path, _MOST_BYTES), _TestFile, Test)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{str(path)!r} is broken ({reason}): restore it") from error


class _EpochLine(msgspec.Struct):
    """A line of metrics.jsonl; null is a number that is not finite."""

    epoch: Positive
    train_loss: Number | None
    train_accuracy: Percent
    validation_loss: Number | None
    validation_accuracy: Percent
    seconds: Seconds = 0.0


class _TestFile(msgspec.Struct):
    """result.json."""

    test_loss: Number | None
    test_accuracy: Percent
    test_images: Positive


def _from_json(text: bytes, kind: type[msgspec.Struct], record: type[Record]) -> Record:
    fields = msgspec.structs.asdict(convert(parse_json(text), kind))
    return record(**{name: math.nan if value is None else value for name, value in fields.items()})
