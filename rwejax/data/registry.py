"""The sources of images by name."""

import re
from collections.abc import Callable
from pathlib import Path

from rwejax import plugins
from rwejax.data import csv_table, digits, folder, hugging_face, tfds
from rwejax.data.sources import Source
from rwejax.errors import InputError

_BUILT_IN: dict[str, Callable[[str], Source]] = {
    "digits": digits.find,
    "folder": folder.find,
    "csv": csv_table.find,
    "hf": hugging_face.find,
}
_NAMED = ("digits",)  # that take no argument
_registered: dict[str, Callable[[str], Source]] = {}  # what users gave, by name


def find(name: str, data_dir: str | Path | None = None) -> Source:
    """The source of that name.

    Args:
        name: as for `load`.
        data_dir: where the public sets lie, as for `load`.

    Raises:
        InputError: no source has that name, or it does not find its images.
    """
    if plugins.parse(name):
        return _checked(name, plugins.find(name, "--dataset"))
    kind, colon, _ = name.partition(":")
    if kind in _registered:
        return _checked(name, _registered[kind])
    if kind in _BUILT_IN and bool(colon) == (kind not in _NAMED):
        return _BUILT_IN[kind](name)
    return tfds.find(name, data_dir)


def register_source(name: str, function: Callable[[str], Source]) -> None:
    """Make a source of images of your own known by its name, to `rwejax.data.load` and whatever has a `dataset`.

    Args:
        name: of letters, digits and underscores; `NAME` and `NAME:ANYTHING` are then datasets.
        function: from the dataset as it was named to a `rwejax.data.Source`. It may raise `InputError`.

    Raises:
        InputError: the name is taken or of other characters.

    Examples:
        >>> import numpy as np
        >>> from rwejax import data
        >>> def read(split, image_size):
        ...     labels = np.arange(40, dtype=np.int32) % 2
        ...     images = np.full((40, 8, 8, 1), 255, np.uint8) * labels[:, None, None, None].astype(np.uint8)
        ...     return data.Split(images, labels, ("black", "white"))
        >>> def find(name):
        ...     return data.Source(name, location=name, fingerprint="", counts={"train": 40}, read=read)
        >>> register_source("plain", find)
        >>> data.load("plain", train=20, validation=10)
        Dataset('plain', train=20, validation=10, classes=2, image_shape=(8, 8, 1))
    """
    if not re.fullmatch(r"\w+", name):
        raise InputError(f"source has the name {name!r}: give letters, digits and underscores")
    if name in _BUILT_IN or (name in _registered and not plugins.alike(_registered[name], function)):
        raise InputError(f"source has the name {name!r} of another one: give it another name")
    _registered[name] = function
    plugins.note(function)


def _checked(name: str, function: Callable[[str], Source]) -> Source:
    source = function(name) if callable(function) else None
    if not isinstance(source, Source) or "train" not in source.counts:
        raise InputError(
            f"dataset {name!r} finds no images: its function must return a rwejax.data.Source with a train split"
        )
    return source
