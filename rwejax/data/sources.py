"""What a source of images is: found by its name, and read later, whole or image by image."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from rwejax.data.images import Split


@dataclasses.dataclass(frozen=True)
class Encoded:
    """The images of one split, left encoded where they lie and read one at a time, by any number of threads.

    Attributes:
        name: the dataset's, as the user gave it.
        count: images; their rows are 0 to count - 1.
        class_names: by label.
        digest: changes with the files' names and sizes, but not with the folder where they lie.
        read: from a row to the encoded image, or the file that holds it, and its label. Raises `InputError`.
        labels: reads the labels of all rows, as (count,) int32. Raises `InputError`.
        describe: names an image by its row, for messages.
    """

    name: str
    count: int
    class_names: tuple[str, ...]
    digest: str
    read: Callable[[int], tuple[bytes | Path, int]]
    labels: Callable[[], Int32[np.ndarray, " count"]]
    describe: Callable[[int], str]


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled images that have been found but not read.

    Attributes:
        name: the dataset's, as the user gave it.
        location: where the images lie; two sources are the same if it is.
        fingerprint: changes whenever the files do; "" keeps what is read out of the cache on disk.
        counts: images by split: "train", and "validation" and "test" if these are the source's own. Of a split that is
            missing, the images are taken from the train split.
        read: from a split and an image_size in pixels, or None for images as they are, to the images. Raises
            `InputError`.
        encode: gives the splits image by image, to be streamed; None if they cannot be. Raises `InputError`.
        left_out: what was found but is not used, and why, in words; "" if nothing.
    """

    name: str
    location: str
    fingerprint: str
    counts: Mapping[str, int]
    read: Callable[[str, int | None], Split]
    encode: Callable[[], Mapping[str, Encoded]] | None = None
    left_out: str = ""


def fingerprint(root: Path, files: Iterable[Path], times: bool = True) -> str:
    """Stands for the content of files by their names, sizes and times of change, without reading them.

    Args:
        root: the folder of the files, which does not count: it may be moved.
        files: those whose names below it, sizes and times count, in this order.
        times: whether times count, which a copy of the files does not keep.
    """
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        changed = status.st_mtime_ns if times else ""
        digest.update(f"{os.path.relpath(file, root)}\0{status.st_size}\0{changed}\n".encode(errors="replace"))
    return digest.hexdigest()[:16]
