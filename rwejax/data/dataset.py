"""From a name to standardised images: reads a source, draws the subsets, standardises them."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Integer, UInt8

from rwejax.data import cache, sources, splits, tfds
from rwejax.data.images import MAXIMUM_SIZE, MINIMUM_SIZE, Split
from rwejax.data.sources import Source
from rwejax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels to search with, all standardised alike.

    The train subset alone defines the standardisation: of every channel its mean is subtracted, then what is left is
    divided by its std. Neither the validation nor the test images enter it.

    Attributes:
        name: as given to `load`.
        train_images: (train, height, width, channels), float32. Any prefix holds the classes about equally often.
        train_labels: (train,), int32 in [0, classes).
        validation_images: (validation, height, width, channels), float32; none of them is a train image.
        validation_labels: (validation,), int32.
        class_names: by label: names of folders or of a public set, '0' to '9' for the digits.
        fingerprint: of the train and validation pixels, their labels and the class names. Moving or copying the images
            keeps it, changing one pixel does not. Test images are read later and do not enter it.
        mean: (channels,), of the train subset, on the scale 0..255 of the stored pixels.
        std: (channels,), likewise; 1 where a channel is constant.
    """

    name: str
    train_images: Float32[np.ndarray, "train height width channels"]
    train_labels: Int32[np.ndarray, " train"]
    validation_images: Float32[np.ndarray, "validation height width channels"]
    validation_labels: Int32[np.ndarray, " validation"]
    class_names: tuple[str, ...]
    fingerprint: str
    mean: Float32[np.ndarray, " channels"]
    std: Float32[np.ndarray, " channels"]
    _read_test: Callable[[], Split]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each class, train and validation together."""
        labels = np.concatenate([self.train_labels, self.validation_labels])
        return tuple(np.bincount(labels, minlength=self.classes).tolist())

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height and width in pixels, and channels, of one image."""
        _, height, width, channels = self.train_images.shape
        return height, width, channels

    def test(self) -> tuple[Float32[np.ndarray, "images height width channels"], Int32[np.ndarray, " images"]]:
        """The test images and labels, read when asked for and not kept.

        Returns:
            (images, height, width, channels) float32, standardised as the train subset is, and (images,) int32 labels.

        Raises:
            InputError: the test split is broken, unlabelled, or its images differ in shape from the train images.
        """
        split = self._read_test()
        if split.images.shape[1:] != self.image_shape:
            raise InputError(
                f"dataset {self.name!r} has test images of shape {split.images.shape[1:]} but train images of shape "
                f"{self.image_shape}: give an image_size to bring both to one"
            )
        return _standardise(split.images, self.mean, self.std), split.labels

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, train={len(self.train_images)}, validation={len(self.validation_images)}, "
            f"classes={self.classes}, image_shape={self.image_shape})"
        )


def load(
    name: str,
    *,
    train: int | None,
    validation: int | None,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads a set of labelled images and draws a train and a validation subset from its train split.

    Both subsets are drawn by `seed`, have no image in common and hold every class equally often, to within one image.
    A class that is too small for its share gives what it has, in proportion to both subsets, and the larger classes
    fill up. The train subset changes with `validation` only where a class is that small.

    A source without a test split of its own (digits, folders, some public sets) keeps a fixed fifth of its images for
    `Dataset.test`, the same whatever the seed; these are never drawn. A public set that has no test split but a
    validation split is tested on the latter.

    Args:
        name: `digits` (8x8 scans that come with scikit-learn, no network needed), `folder:PATH` (one folder of images
            a class), or an image classification set of [TensorFlow Datasets](https://www.tensorflow.org/datasets), as
            NAME, NAME/CONFIG or NAME:VERSION, for example `cifar10`. The newest prepared version is taken.
        train: images to train on, at least one a class; None: all that are left beside `validation`.
        validation: images to validate on, at least one a class; None: a tenth of all that can be drawn.
        data_dir: where the public sets lie; otherwise the environment variable TFDS_DATA_DIR says so, otherwise it is
            the default of TensorFlow Datasets. A set that is missing there is downloaded and prepared there.
        image_size: height and width in pixels, from 4 to 512, to resize to; images that are not square are squeezed.
            By default images keep their size, and digits become 16x16.
        seed: draws the subsets; not negative.

    Returns:
        The subsets in memory, standardised.

    Raises:
        InputError: the name is unknown, a number is out of range, the images are too few, missing or broken, or the
            set is not on this machine and cannot be prepared.

    >>> dataset = load("digits", train=200, validation=100)
    >>> dataset
    Dataset('digits', train=200, validation=100, classes=10, image_shape=(16, 16, 1))
    >>> images, labels = dataset.test()
    >>> images.shape, labels.shape
    ((359, 16, 16, 1), (359,))
    """
    _check_ranges(train, validation, image_size, seed)
    source = _find(name, data_dir)
    whole = cache.fetch(source, "train", image_size)
    if source.test_split is None:
        held_out = splits.hold_out(whole.labels, whole.classes)
        drawable = np.setdiff1d(np.arange(len(whole.labels)), held_out)
        read_test: Callable[[], Split] = functools.partial(_rows, whole, held_out)
    else:
        drawable = np.arange(len(whole.labels))
        read_test = functools.partial(cache.fetch, source, source.test_split, image_size)
    validation = len(drawable) // 10 if validation is None else validation
    train = len(drawable) - validation if train is None else train
    _check_counts(name, whole.labels[drawable], whole.classes, train, validation)
    train_rows, validation_rows = splits.draw(whole.labels[drawable], whole.classes, train, validation, seed)
    train_split = _rows(whole, drawable[train_rows])
    validation_split = _rows(whole, drawable[validation_rows])
    mean, std = _moments(train_split.images)
    return Dataset(
        name=name,
        train_images=_standardise(train_split.images, mean, std),
        train_labels=train_split.labels,
        validation_images=_standardise(validation_split.images, mean, std),
        validation_labels=validation_split.labels,
        class_names=whole.class_names,
        fingerprint=_fingerprint(train_split, validation_split),
        mean=mean,
        std=std,
        _read_test=read_test,
    )


def load_named(config: Any) -> Dataset:
    """The images that a config names.

    Args:
        config: has the fields dataset, train_images, validation_images, data_dir, image_size and seed; see `load`.
    """
    return load(
        config.dataset,
        train=config.train_images,
        validation=config.validation_images,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )


def _find(name: str, data_dir: str | Path | None) -> Source:
    if name == sources.DIGITS:
        return sources.digits()
    if name.startswith(sources.FOLDER):
        return sources.folder(name)
    return tfds.find(name, data_dir)


def _check_ranges(train: int | None, validation: int | None, image_size: int | None, seed: int) -> None:
    for word, count in (("train", train), ("validation", validation)):
        if count is not None and count < 1:
            raise InputError(f"{word}={count} leaves nothing to work with: ask for at least one image a class")
    if image_size is not None and not MINIMUM_SIZE <= image_size <= MAXIMUM_SIZE:
        raise InputError(
            f"image_size={image_size} is out of range: give a size from {MINIMUM_SIZE} to {MAXIMUM_SIZE} pixels"
        )
    if seed < 0:
        raise InputError(f"seed={seed} is negative: give a seed from 0 upwards")


def _check_counts(name: str, labels: Integer[np.ndarray, " images"], classes: int, train: int, validation: int) -> None:
    for word, count in (("train", train), ("validation", validation)):
        if count < classes:
            raise InputError(
                f"{word}={count} is less than one image for each of the {classes} classes of dataset {name!r}: "
                f"ask for at least {classes}"
            )
    if train + validation > len(labels):
        smallest = np.bincount(labels, minlength=classes).min()
        raise InputError(
            f"dataset {name!r} has {len(labels)} images to draw from, {smallest} in its smallest class, but "
            f"train={train} and validation={validation} make {train + validation}: ask for fewer"
        )


def _rows(split: Split, rows: Integer[np.ndarray, " rows"]) -> Split:
    # Reading a memory-mapped file from front to back spares it thousands of jumps.
    order = np.argsort(rows)
    images = np.empty((len(rows), *split.images.shape[1:]), np.uint8)
    images[order] = split.images[rows[order]]
    return Split(images, split.labels[rows], split.class_names)


def _fingerprint(*parts: Split) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(repr((part.images.shape, part.class_names)).encode())
        digest.update(part.images)
        digest.update(part.labels.astype("<i4"))
    return digest.hexdigest()


def _moments(
    images: UInt8[np.ndarray, "images height width channels"],
) -> tuple[Float32[np.ndarray, " channels"], Float32[np.ndarray, " channels"]]:
    """Mean and std of every channel, from exact integer sums, so that they depend on no order of summation."""
    _, height, width, channels = images.shape
    sums = np.zeros((2, height * width * channels), np.int64)
    for start in range(0, len(images), 1024):
        piece = images[start : start + 1024].reshape(-1, height * width * channels).astype(np.uint16)
        sums[0] += piece.sum(axis=0, dtype=np.int64)
        sums[1] += np.square(piece).sum(axis=0, dtype=np.int64)  # 255 * 255 still fits 16 bits
    first, second = sums.reshape(2, height * width, channels).sum(axis=1) / (len(images) * height * width)
    std = np.sqrt(np.maximum(second - np.square(first), 0.0))
    return first.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _standardise(
    images: UInt8[np.ndarray, "images height width channels"],
    mean: Float32[np.ndarray, " channels"],
    std: Float32[np.ndarray, " channels"],
) -> Float32[np.ndarray, "images height width channels"]:
    # Broadcasting over whole images instead of three channels keeps numpy's inner loop long: ten times as fast.
    pixels = images.shape[1] * images.shape[2]
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= np.tile(mean, pixels)
    flat /= np.tile(std, pixels)
    return flat.reshape(images.shape)
