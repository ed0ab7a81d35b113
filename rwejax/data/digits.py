"""The digits that come with scikit-learn: on every machine, and searched in minutes."""

from importlib.metadata import version

import numpy as np

from rwejax.data.images import Split, resize
from rwejax.data.sources import Source

NAME = "digits"
SIZE = 16  # networks pool an image two or three times, for which 8x8 is too small
COUNT = 1797


def find(name: str = NAME) -> Source:
    """The 1,797 scans of handwritten digits in scikit-learn: 8x8 pixels, one channel, ten classes.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.

    Args:
        name: what the dataset is to be called.
    """
    return Source(name, NAME, f"scikit-learn-{version('scikit-learn')}", {"train": COUNT}, _read)


def _read(split: str, image_size: int | None) -> Split:
    del split  # there is only one
    from sklearn.datasets import load_digits  # costs a second that only the first run should pay

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    images = np.stack([resize(image, image_size or SIZE) for image in pixels])
    return Split(images, bunch.target.astype(np.int32), tuple(map(str, bunch.target_names)))
