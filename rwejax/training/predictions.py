"""What a trained network says of each test image, on disk, and the mistakes of which it is surest, as pictures.

predictions.csv    label, predicted class and its probability, a row a test image
mistakes.png       the images of the worst mistakes, in the order of `worst_mistakes`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from jaxtyping import Float, Int, UInt8

from rwejax.storage.atomic import replacing
from rwejax.storage.contact_sheet import to_pixels, write_sheet
from rwejax.storage.lines import read_lines
from rwejax.storage.schema import Natural, convert

FILE, PICTURES = "predictions.csv", "mistakes.png"

MOST_MISTAKES = 24

_HEADER = "label,predicted,probability"
_PIXELS = 64  # height and width of a picture


class Predictions(NamedTuple):
    """What a network says of images.

    Attributes:
        labels: of the images.
        predicted: the likeliest class of each.
        probability: that the network gives it.
    """

    labels: Int[np.ndarray, " n"]
    predicted: Int[np.ndarray, " n"]
    probability: Float[np.ndarray, " n"]


def worst_mistakes(predictions: Predictions) -> Int[np.ndarray, " mistakes"]:
    """The images that are told wrong with the highest probability, the worst first.

    Args:
        predictions: of all images.

    Examples:
        >>> worst_mistakes(Predictions(np.array([0, 1, 2]), np.array([1, 1, 0]), np.array([0.5, 0.9, 0.8]))).tolist()
        [2, 0]
    """
    wrong = np.flatnonzero(predictions.labels != predictions.predicted)
    return wrong[np.argsort(-predictions.probability[wrong], kind="stable")][:MOST_MISTAKES]


class Collector:
    """Gathers predictions, and of the images only those that may be among the worst mistakes.

    Args:
        mean: what is subtracted from the pixels, of each channel.
        std: what the rest is divided by.
    """

    def __init__(self, mean: Float[np.ndarray, " channels"], std: Float[np.ndarray, " channels"]) -> None:
        self._mean, self._std = mean, std
        self._parts: list[Predictions] = []
        self._count = 0
        self._worst: list[tuple[float, int, Any]] = []  # by probability, negated, and row

    def add(self, images: Any, labels: Any, predicted: Any, probability: Any) -> None:
        """Add a batch.

        Args:
            images: standardised, or pixels of 8 bits.
            labels: of the images.
            predicted: the likeliest class of each.
            probability: of that; to four digits, as it is written.
        """
        batch = Predictions(np.asarray(labels), np.asarray(predicted), np.asarray(probability, float).round(4))
        for row in worst_mistakes(batch).tolist():
            place = -float(batch.probability[row]), self._count + row
            if len(self._worst) < MOST_MISTAKES or place < self._worst[-1][:2]:
                self._worst = sorted([*self._worst, (*place, self._pixels(images[row : row + 1]))], key=_place)
                del self._worst[MOST_MISTAKES:]
        self._parts.append(batch)
        self._count += len(batch.labels)

    @property
    def predictions(self) -> Predictions:
        """Of all images so far."""
        return Predictions(*(np.concatenate(part) for part in zip(*self._parts, strict=True)))

    def write(self, folder: Path) -> None:
        """Write both files.

        Args:
            folder: of the run.

        Raises:
            OSError: they cannot be written.
        """
        predictions = self.predictions
        with replacing(folder / FILE) as file:
            file.write(_HEADER + "\n")
            rows = zip(*(part.tolist() for part in predictions), strict=True)
            file.writelines(f"{label},{predicted},{probability:.4f}\n" for label, predicted, probability in rows)
        if self._worst:
            write_sheet(folder / PICTURES, np.stack([pixels for *_, pixels in self._worst])[None])

    def _pixels(self, images: Any) -> UInt8[np.ndarray, "height width channels"]:
        if np.issubdtype(images.dtype, np.floating):
            return to_pixels(images, self._mean, self._std, _PIXELS)[0]
        return to_pixels(images, np.zeros(1), np.ones(1), _PIXELS)[0]


def _place(mistake: tuple[float, int, Any]) -> tuple[float, int]:
    return mistake[:2]


def read_predictions(folder: Path) -> Predictions | None:
    """What a network says of the test images; None of a training that has not got there, or is of an older version.

    Args:
        folder: of the run.

    Raises:
        InputError: the file is unreadable or broken.
    """

    def parse(line: bytes, number: int) -> _Row | None:
        cells = line.decode().rstrip("\r\n").split(",")
        if number == 0:
            if cells != _HEADER.split(","):
                raise ValueError(f"it is not {_HEADER}")
            return None
        return convert(dict(zip(_HEADER.split(","), cells, strict=True)), _Row, strict=False)

    def rows() -> Iterator[tuple[int, int, float]]:
        for row in read_lines(folder / FILE, parse):
            if row is not None:
                yield row.label, row.predicted, row.probability

    found = list(rows())
    if not found:
        return None
    labels, predicted, probability = zip(*found, strict=True)
    return Predictions(np.array(labels), np.array(predicted), np.array(probability))


class _Row(msgspec.Struct):
    """A row of predictions.csv."""

    label: Natural
    predicted: Natural
    probability: float
