"""Images of ImageNet's kind, decoded batch by batch for full training instead of held in memory.

Grain (https://google-grain.readthedocs.io) shuffles, crops and batches them in threads; Pillow, which decodes, holds no
lock of Python's meanwhile. A thread makes a whole batch: what Grain does to hand over one thing holds that lock, and if
done for every image it would take more of it than many threads can share.
"""

import dataclasses
import hashlib
import importlib.util
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Integer, UInt8

from rwejax.data import crops, sources, tfds
from rwejax.data.images import MAXIMUM_SIZE, MINIMUM_SIZE, DecodeError
from rwejax.data.sources import Encoded
from rwejax.data.splits import draw, hold_out
from rwejax.errors import InputError

if TYPE_CHECKING:
    import grain

# Of ImageNet's red, green and blue, as published with torchvision's models, times 255:
# https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.resnet50.html
MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255

VALIDATION_SHARE = 0.1  # of the images that are not for testing
LABELS_READ = 100_000  # images up to which a public set's labels are read beforehand, to divide it by class
THREADS = 16  # at most, since each holds a batch in memory

Batch = tuple[UInt8[np.ndarray, "images size size 3"], Int32[np.ndarray, " images"]]


class _Part(NamedTuple):
    """The images of one split, as rows of those that lie together."""

    encoded: Encoded
    rows: Integer[np.ndarray, " rows"]


class _Stopped(Exception):
    """Nobody waits for the batch any more."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Labelled images, read when they are asked for.

    Attributes:
        name: as given to `stream`.
        image_size: height and width of every image that comes out, in pixels.
        seed: shuffles and crops.
        class_names: by label, of the folders or as the public set has them.
        fingerprint: of the files' names and sizes and of the class names, because reading all pixels would take as long
            as an epoch: it stays when the files move or are copied, and may miss a change that keeps all sizes.
        mean: (3,) float32, of ImageNet's channels, on the scale 0..255 of the pixels; to standardise with.
        std: (3,) float32, likewise.
    """

    name: str
    image_size: int
    seed: int
    class_names: tuple[str, ...]
    fingerprint: str
    mean: Float32[np.ndarray, "3"]
    std: Float32[np.ndarray, "3"]
    _parts: dict[str, _Part]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height and width in pixels, and channels, of one image."""
        return self.image_size, self.image_size, 3

    def count(self, split: str) -> int:
        """The images of "train", "validation" or "test".

        Args:
            split: "train", "validation" or "test".

        Raises:
            InputError: there is no such split.
        """
        return len(self._part(split).rows)

    def train_batches(self, epoch: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        """The train images of one epoch, each once, in random order, randomly cropped and mirrored.

        A batch is a function of the images, the seed, the epoch, the batch size and its place in the epoch, to the bit,
        however many were skipped. The images left over when all batches are full are not shown in this epoch.

        Args:
            epoch: from 0; each has its own order and crops.
            batch_size: images a batch. Up to 17 batches are in memory, one for each thread and one over.
            start: batches to skip, without decoding them.

        Yields:
            (batch_size, size, size, 3) uint8 images and (batch_size,) int32 labels.

        Raises:
            InputError: a number is out of range, or an image is broken or unlabelled.
        """
        part, most = self._part("train"), self.count("train")
        if not 1 <= batch_size <= most:
            raise InputError(
                f"batch_size={batch_size} is out of range: dataset {self.name!r} has {most} train images, "
                f"so give a size from 1 to {most}"
            )
        if epoch < 0:
            raise InputError(f"epoch={epoch} is negative: give an epoch from 0 upwards")
        if not 0 <= start <= most // batch_size:
            raise InputError(
                f"start={start} is out of range: an epoch of dataset {self.name!r} has {most // batch_size} batches of "
                f"{batch_size}, so give a start from 0 to {most // batch_size}"
            )
        import grain  # costs half a second that nobody else should pay

        stopped = threading.Event()
        seed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0])
        rows = grain.MapDataset.source(part.rows).seed(seed).shuffle()
        images = rows.random_map(self._decoder(part.encoded, crops.random_crop, stopped))
        return _iterate(images.batch(batch_size, drop_remainder=True)[start:], stopped)

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """The images of a split in fixed order, resized to have some margin, of which the middle is taken.

        Args:
            split: "train", "validation" or "test".
            batch_size: images a batch, of which the last may have fewer.

        Yields:
            (batch_size, size, size, 3) uint8 images and (batch_size,) int32 labels.

        Raises:
            InputError: there is no such split, batch_size is not positive, or an image is broken or unlabelled.
        """
        part = self._part(split)
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} is not positive: give a size from 1 upwards")
        import grain

        stopped = threading.Event()
        images = grain.MapDataset.source(part.rows).map(self._decoder(part.encoded, crops.centre_crop, stopped))
        return _iterate(images.batch(batch_size), stopped)

    def _part(self, split: str) -> _Part:
        if split not in self._parts:
            raise InputError(f"split {split!r} is unknown: use {', '.join(map(repr, self._parts))}")
        return self._parts[split]

    def _decoder(self, images: Encoded, crop: Callable[..., crops.Square], stopped: threading.Event) -> Callable:
        def decode(row: int, *rng: np.random.Generator) -> tuple[crops.Square, np.int32]:
            if stopped.is_set():
                raise _Stopped
            encoded, label = images.read(row)
            try:
                return crop(encoded, self.image_size, *rng), np.int32(label)
            except DecodeError as error:
                raise InputError(f"{images.describe(row)} of dataset {self.name!r} {error}") from error

        return decode

    def __repr__(self) -> str:
        counts = ", ".join(f"{split}={self.count(split)}" for split in self._parts)
        return f"Stream({self.name!r}, {counts}, classes={self.classes}, image_shape={self.image_shape})"


def stream(name: str, *, image_size: int = 224, data_dir: str | Path | None = None, seed: int = 0) -> Stream:
    """Finds a set of labelled images and divides it into train, validation and test, decoding none.

    - Test is the set's test split or else, where it has none or one without labels (`imagenet2012`, `imagenette`), its
      validation split; where it has neither, and for a folder, a fixed fifth of the images, that on which `load` tests.
    - Validation is the set's validation split where that is not the test already, else a tenth of the train images,
      drawn by `seed`, which are then not trained on.
    - Train is the rest of the train split.

    Where a fifth or a tenth is taken, classes share in it equally. That takes all labels, which public sets store among
    the images: one of over 100,000 is divided by chance instead of being read whole (`imagenet2012` has 140 GB).

    Args:
        name: `imagenet2012`, `imagenette` or another image classification set of
            [TensorFlow Datasets](https://www.tensorflow.org/datasets), as NAME, NAME/CONFIG or NAME:VERSION, or
            `folder:PATH` (one folder of images a class). Grey images and those with transparency become RGB.
        image_size: height and width in pixels, from 4 to 512, of the images that come out.
        data_dir: where the public sets lie, as for `load`.
        seed: draws the validation images, shuffles and crops; not negative.

    Raises:
        InputError: the name is unknown, a number is out of range, the images are too few, missing or broken, the set
            is not on this machine and cannot be prepared, or the extra tfds is not installed.
    """
    if not MINIMUM_SIZE <= image_size <= MAXIMUM_SIZE:
        raise InputError(
            f"image_size={image_size} is out of range: give a size from {MINIMUM_SIZE} to {MAXIMUM_SIZE} pixels"
        )
    if seed < 0:
        raise InputError(f"seed={seed} is negative: give a seed from 0 upwards")
    if name == sources.DIGITS:
        raise InputError(f"dataset {name!r} is held in memory and not streamed: use load, or name another set")
    if importlib.util.find_spec("grain") is None:
        raise InputError(
            f"dataset {name!r} is to be streamed, for which the package grain is not installed: "
            "pip install 'rwejax[tfds]'"
        )
    if name.startswith(sources.FOLDER):
        splits = {"train": sources.encoded_folder(name)}
    else:
        splits = tfds.encoded(name, data_dir)
    class_names = splits["train"].class_names
    if len(class_names) < 2:
        raise InputError(f"dataset {name!r} has {len(class_names)} class: choose a set of at least two")
    # Pillow warns of odd metadata, which changes no pixel; threads share one list of filters, so that none of them can
    # silence it for itself.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    mark = hashlib.blake2b(repr((class_names, splits["train"].digest)).encode(), digest_size=8).hexdigest()
    return Stream(name, image_size, seed, class_names, mark, MEAN, STD, _divide(splits, seed))


def _divide(splits: dict[str, Encoded], seed: int) -> dict[str, _Part]:
    """What is train, validation and test; the three have no image in common."""
    train = splits["train"]
    rest = np.arange(train.count)
    test = splits.get("test", splits.get("validation"))
    validation = splits.get("validation") if "test" in splits else None
    parts = {
        split: _Part(images, np.arange(images.count))
        for split, images in (("validation", validation), ("test", test))
        if images is not None
    }
    if len(parts) < 2:
        known = train.count <= LABELS_READ
        labels, classes = (train.labels(), len(train.class_names)) if known else (np.zeros(train.count, np.int32), 1)
        if test is None:
            held_out = hold_out(labels, classes)
            parts["test"], rest = _Part(train, held_out), np.setdiff1d(rest, held_out)
        if len(rest) < 2 * classes:
            raise InputError(
                f"dataset {train.name!r} has only {len(rest)} images to train and validate on, for {classes} classes: "
                "choose a set with two or more for each class"
            )
        count = max(classes, round(len(rest) * VALIDATION_SHARE))
        train_rows, validation_rows = draw(labels[rest], classes, len(rest) - count, count, seed)
        parts["validation"], rest = _Part(train, np.sort(rest[validation_rows])), np.sort(rest[train_rows])
    return {"train": _Part(train, rest), "validation": parts["validation"], "test": parts["test"]}


def _iterate(batches: "grain.MapDataset", stopped: threading.Event) -> Iterator[Batch]:
    import grain

    threads = min(os.cpu_count() or 1, THREADS)
    iterator = iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 1)))
    try:
        yield from iterator
    finally:  # also when the iterator is dropped, as Ctrl-C does: whoever leaves waits for one image, not for batches
        stopped.set()
        iterator.close()
