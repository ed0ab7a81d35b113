"""From a name to standardised images: reads a source, draws the subsets, standardises them."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32, Int32, Integer, UInt8

from rwejax.data import cache, registry, splits
from rwejax.data.images import MAXIMUM_SIZE, MINIMUM_SIZE, Split, with_channels
from rwejax.data.summary import summarise
from rwejax.errors import InputError

Config = TypeVar("Config")


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
        test_count: images that `test` gives.
        left_out: what was found with the images but is not used, and why; "" if nothing.
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
    test_count: int
    left_out: str
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

    @property
    def grey(self) -> bool:
        """Whether the train images have one channel, or equal ones."""
        return all(np.array_equal(self.train_images[..., 0], each) for each in np.moveaxis(self.train_images, -1, 0))

    @property
    def summary(self) -> str:
        """Images and classes in numbers, and what was left out: a line or two, to be printed."""
        counts = {"train": len(self.train_labels), "validation": len(self.validation_labels), "test": self.test_count}
        return summarise(self.classes, counts, self.left_out, self.class_counts)

    def test(self) -> tuple[Float32[np.ndarray, "images height width channels"], Int32[np.ndarray, " images"]]:
        """The test images and labels, read when asked for and not kept.

        Returns:
            (images, height, width, channels) float32, standardised as the train subset is, and (images,) int32 labels.

        Raises:
            InputError: the test split is broken, unlabelled, or its images differ in shape from the train images.
        """
        split = self._read_test()
        split = split._replace(images=with_channels(split.images, self.image_shape[2]))
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
    most: tuple[int, int] | None = None,
) -> Dataset:
    """Loads a set of labelled images and draws a train and a validation subset from its train split.

    Both subsets are drawn by `seed`, have no image in common and hold every class equally often, to within one image.
    A class that is too small for its share gives what it has, in proportion to both subsets, and the larger classes
    fill up. The train subset changes with `validation` only where a class is that small.

    A source without a test split of its own (digits, most folders, some public sets) keeps a fixed fifth of its images
    for `Dataset.test`, the same whatever the seed; these are never drawn. A public set that has no test split but a
    validation split is tested on the latter.

    Images of files are turned upright and, where they are transparent, laid on white. If all are grey, they have one
    channel.

    Args:
        name: `digits` (8x8 scans that come with scikit-learn, no network needed), `folder:PATH` (one folder of images
            a class, perhaps below the folders train, val and test, which are then the splits), `csv:FILE` (columns
            path and label, perhaps split), `hf:PATH` (what Hugging Face's datasets has saved on disk), a name that was
            given to `rwejax.register_source`, or an image classification set of
            [TensorFlow Datasets](https://www.tensorflow.org/datasets), as NAME, NAME/CONFIG or NAME:VERSION, for
            example `cifar10`. The newest prepared version is taken.
        train: images to train on, at least one a class; None: all that are left beside `validation`.
        validation: images to validate on, at least one a class; None: a tenth of all that can be drawn, or the
            validation split if the source has one.
        data_dir: where the public sets lie; otherwise the environment variable TFDS_DATA_DIR says so, otherwise it is
            the default of TensorFlow Datasets. A set that is missing there is downloaded and prepared there.
        image_size: height and width in pixels, from 4 to 512, to resize to; images that are not square are squeezed.
            By default images keep their size, and digits become 16x16.
        seed: draws the subsets; not negative.
        most: images to train and to validate on where `train` and `validation` are None and there are enough; of fewer,
            four fifths are trained on. None: all.

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
    source = registry.find(name, data_dir)
    whole = cache.fetch(source, "train", image_size)
    drawable = np.arange(len(whole.labels))
    if "test" in source.counts:
        test_count = source.counts["test"]
        read_test: Callable[[], Split] = functools.partial(cache.fetch, source, "test", image_size)
    else:
        held_out = splits.hold_out(whole.labels, whole.classes)
        drawable, test_count = np.setdiff1d(drawable, held_out), len(held_out)
        read_test = functools.partial(_rows, whole, held_out)
    labels = whole.labels[drawable]
    separate = cache.fetch(source, "validation", image_size) if "validation" in source.counts else None
    train, validation = splits.sizes(
        len(labels), whole.classes, train, validation, most, None if separate is None else len(separate.labels)
    )
    _check_counts(name, labels, whole.classes, train, validation, separate)
    if separate is None:
        train_rows, validation_rows = splits.draw(labels, whole.classes, train, validation, seed)
        validation_split = _rows(whole, drawable[validation_rows])
    else:
        train_rows, _ = splits.draw(labels, whole.classes, train, 0, seed)
        validation_split = _separate(name, separate, whole, validation, seed)
    train_split = _rows(whole, drawable[train_rows])
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
        test_count=test_count,
        left_out=source.left_out,
        _read_test=read_test,
    )


def load_named(config: Any) -> Dataset:
    """The images that a config names.

    Args:
        config: has the fields dataset, train_images, validation_images, data_dir, image_size and seed; see `load`. It
            may have `most_images`, which is the `most` of `load`.
    """
    return load(
        config.dataset,
        train=config.train_images,
        validation=config.validation_images,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
        most=getattr(config, "most_images", None),
    )


def settle(config: Config, dataset: Dataset) -> Config:
    """The config with the numbers of images that were chosen for it, so that it means the same ever after.

    Args:
        config: has the fields train_images and validation_images.
        dataset: what `load_named` gave for it.
    """
    train, validation = len(dataset.train_labels), len(dataset.validation_labels)
    return dataclasses.replace(config, train_images=train, validation_images=validation)  # type: ignore[type-var]


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


def _check_counts(
    name: str,
    labels: Integer[np.ndarray, " images"],
    classes: int,
    train: int,
    validation: int,
    separate: Split | None,
) -> None:
    for word, count in (("train", train), ("validation", validation)):
        if count < (classes if word == "train" or separate is None else 1):
            raise InputError(
                f"{word}={count} is less than one image for each of the {classes} classes of dataset {name!r}: "
                f"ask for at least {classes}"
            )
    if separate is None and train + validation > len(labels):
        smallest = np.bincount(labels, minlength=classes).min()
        raise InputError(
            f"dataset {name!r} has {len(labels)} images to draw from, {smallest} in its smallest class, but "
            f"train={train} and validation={validation} make {train + validation}: ask for fewer"
        )
    if separate is not None:
        for word, count, there in (("train", train, len(labels)), ("validation", validation, len(separate.labels))):
            if count > there:
                raise InputError(f"dataset {name!r} has {there} {word} images, but {word} is {count}: ask for fewer")


def _separate(name: str, split: Split, whole: Split, count: int, seed: int) -> Split:
    """Images of a validation split of its own, of the shape of the train images."""
    rows = np.arange(count)
    if count < len(split.labels):
        rows, _ = splits.draw(split.labels, split.classes, count, 0, seed)
    images = with_channels(split.images, whole.images.shape[-1])
    if images.shape[1:] != whole.images.shape[1:]:
        raise InputError(
            f"dataset {name!r} has validation images of shape {images.shape[1:]} but train images of shape "
            f"{whole.images.shape[1:]}: give an image_size to bring both to one"
        )
    return _rows(split._replace(images=images), rows)


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
        digest.update(part.images.data)
        digest.update(part.labels.astype("<i4").tobytes())
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
