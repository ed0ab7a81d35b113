"""What every evaluator asks of the images and labels that it is given, whoever made them.

A value that is not finite is no reason to refuse: networks that look at it have no score, as a network of infinite
features has none.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from rwejax.data import Dataset
from rwejax.errors import InputError, quoted
from rwejax.spaces import Space


def checked(space: Space, dataset: Dataset) -> Dataset:
    """The dataset with numpy arrays of float32 and int32, if evaluators can work with it.

    Args:
        space: what the networks are of.
        dataset: images and labels; arrays of numpy or JAX.

    Returns:
        The same dataset, or one of copies where an array had another type.

    Raises:
        InputError: the space is made for other images or classes, an array has another shape or holds something else,
            or a label is none of the classes.
    """
    if space.input_shape != dataset.image_shape or space.classes != dataset.classes:
        raise InputError(
            f"the space is made for {space.classes} classes of {space.input_shape} images and the dataset has "
            f"{dataset.classes} classes of {dataset.image_shape}: "
            "pass input_shape=dataset.image_shape and classes=dataset.classes to spaces.get"
        )
    arrays: dict[str, Any] = {}
    for part in ("train", "validation"):
        images = arrays[f"{part}_images"] = _images(f"{part}_images", getattr(dataset, f"{part}_images"))
        labels = check_labels(f"{part}_labels", getattr(dataset, f"{part}_labels"), len(images), dataset.classes)
        arrays[f"{part}_labels"] = labels
        if images.shape[1:] != space.input_shape:
            raise InputError(
                f"{part}_images has images of shape {images.shape[1:]} where the space takes {space.input_shape}: "
                "give images of one shape"
            )
    if not len(arrays["train_images"]):
        raise InputError("train_images is empty: give one image or more")
    if all(getattr(dataset, name) is array for name, array in arrays.items()):
        return dataset
    return dataclasses.replace(dataset, **arrays)


def _images(name: str, given: Any) -> Float32[np.ndarray, "images height width channels"]:
    images = np.asarray(given)
    if images.ndim != 4:
        raise InputError(f"{name} has shape {images.shape}: give (images, height, width, channels)")
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"{name} is {images.dtype}: give standardised images of float32, as rwejax.data.load does")
    return images.astype(np.float32, copy=False)


def check_labels(name: str, given: Any, images: int, classes: int) -> Int32[np.ndarray, " images"]:
    """Labels as int32, if they are classes.

    Args:
        name: what they are called in the error.
        given: the labels.
        images: how many there must be.
        classes: what is above the largest.

    Raises:
        InputError: they are not one integer an image, or one is below 0 or no class.
    """
    labels = np.asarray(given)
    if labels.shape != (images,):
        raise InputError(f"{name} has shape {labels.shape}: give one label for each of the {images} images")
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} is {labels.dtype}: give the number of each image's class as int32")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        label = quoted(int(labels[wrong[0]]))
        raise InputError(f"{name} has {label} for image {wrong[0]}: give classes from 0 to {classes - 1}")
    return labels.astype(np.int32, copy=False)


def check_batch(images: int | None, dataset: Dataset) -> None:
    """Refuse a batch of images that there is not.

    Args:
        images: its size; None: any.
        dataset: has the train images that the batch is of.

    Raises:
        InputError: it is empty or larger than the number of train images.
    """
    if images is not None and images < 1:
        raise InputError(f"images is {images}: give 1 or more")
    if images is not None and images > len(dataset.train_images):
        raise InputError(
            f"images is {images} and the dataset has {len(dataset.train_images)} train images: give fewer, or load more"
        )
