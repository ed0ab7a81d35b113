"""Sets that Hugging Face's library datasets has saved on disk."""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from rwejax.data.files import SPLITS, one_channel
from rwejax.data.images import PIECE, OwnBytes, Split, stack
from rwejax.data.sources import Encoded, Source, fingerprint
from rwejax.errors import InputError

PREFIX = "hf:"


def find(name: str) -> Source:
    """The images in `hf:PATH`, a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` has written.

    Args:
        name: `hf:PATH`; a ~ is the user's home.

    Raises:
        InputError: the extra hf is not installed, PATH is no such folder, or its columns are not one of images and one
            of class labels.
    """
    root = Path(os.path.expanduser(name.removeprefix(PREFIX)))
    if importlib.util.find_spec("datasets") is None:
        raise InputError(
            f"dataset {name!r} needs the package datasets, which is not installed: pip install 'rwejax[hf]'"
        )
    library = importlib.import_module("datasets")
    try:
        loaded = library.load_from_disk(str(root))
    except Exception as error:  # of pyarrow, of JSON, of the file system
        raise InputError(
            f"dataset {name!r} cannot be read ({type(error).__name__}): write 'hf:PATH' with the PATH of a folder that "
            "save_to_disk has written"
        ) from error
    tables = dict(loaded) if isinstance(loaded, library.DatasetDict) else {"train": loaded}
    called = {alias: split for split, aliases in SPLITS.items() for alias in aliases}
    tables = {called.get(split, split): table for split, table in tables.items()}
    if "train" not in tables:
        raise InputError(f"dataset {name!r} has no train split but {', '.join(tables)}: save one that has")
    left_out = ", ".join(f"split {split!r}" for split in tables if split not in SPLITS)
    tables = {split: _Table(name, tables[split], library) for split in SPLITS if split in tables}
    files = sorted(file for file in root.rglob("*.arrow"))
    mark, digest = (fingerprint(root, files, times) for times in (True, False))
    return Source(
        name,
        str(root.resolve()),
        mark,
        {split: table.count for split, table in tables.items()},
        lambda split, image_size: tables[split].read(image_size),
        lambda: {split: table.encode(digest, split) for split, table in tables.items()},
        left_out,
    )


class _Table:
    """One split: a column of encoded images and one of class labels."""

    def __init__(self, name: str, table: Any, library: Any) -> None:
        images = [each for each, kind in table.features.items() if isinstance(kind, library.Image)]
        labels = [each for each, kind in table.features.items() if isinstance(kind, library.ClassLabel)]
        if len(images) != 1 or len(labels) != 1:
            raise InputError(
                f"dataset {name!r} has the columns {', '.join(table.features)}: save one with a single Image and a "
                "single ClassLabel"
            )
        (self._image,), (self._label,) = images, labels
        self._name, self.count = name, len(table)
        self.class_names = tuple(table.features[self._label].names)
        self._table = table.cast_column(self._image, library.Image(decode=False))

    def read(self, image_size: int | None) -> Split:
        pieces = (range(start, min(start + PIECE, self.count)) for start in range(0, self.count, PIECE))
        images = stack(
            self._name,
            ([self._one(row)[0] for row in rows] for rows in pieces),
            self.count,
            channels=3,
            image_size=image_size,
            describe=lambda row: f"image {row}",
        )
        return Split(one_channel(images), self._labels(), self.class_names)

    def encode(self, digest: str, split: str) -> Encoded:
        return Encoded(
            name=self._name,
            count=self.count,
            class_names=self.class_names,
            digest=digest,
            read=self._one,
            labels=self._labels,
            describe=lambda row: f"image {row} of the {split} split",
        )

    def _one(self, row: int) -> tuple[OwnBytes | Path, int]:
        record = self._table[row]
        image = record[self._image]
        return OwnBytes(image["bytes"]) if image["bytes"] else Path(image["path"]), record[self._label]

    def _labels(self) -> Int32[np.ndarray, " images"]:
        labels = np.array(self._table[self._label], np.int32)
        if labels.min() < 0 or labels.max() >= len(self.class_names):
            raise InputError(f"dataset {self._name!r} has images without a label: save it without them")
        return labels
