"""A dataset's images on the devices of a host: the calibration images first, beside them or in batches all others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from rwejax.data import Dataset
from rwejax.networks import IMAGES_AXIS
from rwejax.runtime import collectives


class Images(NamedTuple):
    """What the compiled pass is told of the dataset, or how each part of it is split over the devices.

    Attributes:
        first: the images that give the normalisation statistics. Of each device's share these come first; behind them
            are all others, where one batch holds them.
        batches: else all others, batch by batch; the last is filled up.
        labels: of all images, in the order of the dataset.
        places: where the pass, which goes from device to device, has the features of each image.
    """

    first: Any
    batches: Any
    labels: Any
    places: Any


SPLIT = Images(PartitionSpec(IMAGES_AXIS), PartitionSpec(None, IMAGES_AXIS), PartitionSpec(), PartitionSpec())


def images_mesh(devices: Sequence[jax.Device], calibration: int) -> Mesh:
    """As many devices of this host as divide the calibration images evenly.

    Args:
        devices: to choose from; those of other hosts are left out.
        calibration: number of calibration images.
    """
    mine = [device for device in devices if device.process_index == jax.process_index()]
    most = max(count for count in range(1, len(mine) + 1) if calibration % count == 0)
    return Mesh(np.array(mine[:most]), (IMAGES_AXIS,), axis_types=(AxisType.Auto,))


def split_images(dataset: Dataset, mesh: Mesh, calibration: int, images_per_batch: int, rest: bool) -> Images:
    """Put the images on the devices.

    Args:
        dataset: images and labels.
        mesh: the devices; their number divides the calibration images.
        calibration: the first so many train images are the calibration images.
        images_per_batch: of the others a device takes at most so many at once.
        rest: whether there are others; else the calibration images are all.
    """
    devices = mesh.size
    images = np.concatenate([dataset.train_images, dataset.validation_images])
    images = images if rest else images[:calibration]
    after = len(images) - calibration
    batches = -(-after // (images_per_batch * devices))
    size = -(-after // (max(batches, 1) * devices)) * devices or devices
    padded = np.concatenate([np.arange(calibration, len(images)), np.zeros(batches * size - after, int)])
    padded = padded.reshape(batches, size)
    # Each device returns its own share of the calibration images, then its own share of every batch.
    shares = np.split(np.arange(calibration), devices), np.split(padded, devices, axis=1)
    order = np.concatenate([part.ravel() for pair in zip(*shares, strict=True) for part in pair])
    places = np.zeros(len(images), np.int32)
    places[order[::-1]] = np.arange(len(order))[::-1]
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])[: len(images)]
    if batches == 1:
        found = Images(images[order], images[padded[:0]], labels, places)
    else:
        found = Images(images[:calibration], images[padded], labels, places)
    return Images(*(collectives.spread(x, mesh, spec) for x, spec in zip(found, SPLIT, strict=True)))
