"""The images of a training, batch by batch, from memory."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Array, Float, Float32, Int32, UInt8

from rwejax.data import Dataset
from rwejax.evaluate.population.recipe import epoch_order

Images = Float32[np.ndarray, "images height width channels"] | UInt8[np.ndarray, "images height width channels"]
Batch = tuple[Images, Int32[np.ndarray, " images"]]


class BatchSource(Protocol):
    """Where batches come from: `Loaded`, or what `rwejax.data.stream` returns."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""

    @property
    def fingerprint(self) -> str:
        """Changes with the images; see `rwejax.data.Dataset` and `rwejax.data.Stream`."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height and width in pixels, and channels, of one image."""

    @property
    def mean(self) -> Float32[np.ndarray, " channels"]:
        """What is subtracted from the pixels, 0 to 255."""

    @property
    def std(self) -> Float32[np.ndarray, " channels"]:
        """What the rest is divided by."""

    @property
    def grey(self) -> bool:
        """Whether the train images have no colours."""

    @property
    def summary(self) -> str:
        """Images and classes in numbers, and what was left out: a line or two, to be printed."""

    def count(self, split: str) -> int:
        """Number of images of "train", "validation" or "test"."""

    def train_batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """The train images in an order of the epoch's own; the first ones again where the last batch is not full.

        Args:
            epoch: from 0; the same number gives the same order.
            batch_size: images of a batch.
        """

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """The images of a split in their order; the last batch may be smaller.

        Args:
            split: "train", "validation" or "test".
            batch_size: images of a batch.
        """


class Loaded:
    """A dataset in memory, already standardised.

    Args:
        dataset: the images; its test images are read anew each time that they are asked for.
        seed: draws, together with the number of an epoch, the order of its images.

    Attributes:
        classes: number of classes.
        class_names: by label.
        class_counts: train and validation images of each class.
        fingerprint: of the images, as the dataset has it.
        image_shape: height, width and channels of an image.
        grey: whether the train images have no colours.
        summary: images and classes in numbers, and what was left out.
        mean: what was subtracted from the pixels.
        std: what the rest was divided by.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.classes, self.image_shape = dataset.classes, dataset.image_shape
        self.class_names, self.fingerprint = dataset.class_names, dataset.fingerprint
        self.grey, self.summary = dataset.grey, dataset.summary
        self.class_counts = dataset.class_counts
        self.mean, self.std = dataset.mean, dataset.std
        self._dataset, self._seed = dataset, seed

    def count(self, split: str) -> int:
        """Number of images of "train", "validation" or "test"."""
        return len(self._split(split)[1])

    def train_batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """The train images in an order of the epoch's own; the first ones again where the last batch is not full.

        Args:
            epoch: from 0; the same number gives the same order.
            batch_size: images of a batch.
        """
        images, labels = self._split("train")
        for rows in epoch_order(self._seed, epoch, len(labels), batch_size):
            yield images[rows], labels[rows]

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """The images of a split in their order; the last batch may be smaller.

        Args:
            split: "train", "validation" or "test".
            batch_size: images of a batch.
        """
        images, labels = self._split(split)
        for start in range(0, len(labels), batch_size):
            yield images[start : start + batch_size], labels[start : start + batch_size]

    def _split(self, split: str) -> Batch:
        if split == "test":
            return self._dataset.test()
        return getattr(self._dataset, f"{split}_images"), getattr(self._dataset, f"{split}_labels")


def standardise_pixels(
    images: Array | np.ndarray, mean: Float[np.ndarray, " channels"], std: Float[np.ndarray, " channels"]
) -> Array | np.ndarray:
    """Zero mean and unit variance for pixels of 8 bits, in compiled code; what is of floats is so already.

    Args:
        images: (images, height, width, channels), pixels from 0 to 255 or standardised floats.
        mean: of each channel, on the scale of the pixels.
        std: of each channel, likewise; above 0.
    """
    return images if np.issubdtype(images.dtype, np.floating) else (images - mean) / std
