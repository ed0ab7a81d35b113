"""Image files with labels: what a folder and a table of paths have in common."""

import contextlib
import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from rwejax.data.images import PIECE, Split, stack
from rwejax.data.sources import Encoded, Source, fingerprint
from rwejax.errors import InputError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The names by which folders and tables call the splits."""

# Pillow registers these to say what they are, or has another program, Ghostscript or Windows, draw them.
NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})


class Files(NamedTuple):
    """The image files of one split."""

    paths: list[Path]
    labels: Int32[np.ndarray, " images"]


@dataclasses.dataclass(frozen=True)
class Listing:
    """Image files that have been found.

    Attributes:
        name: the dataset's, as the user gave it.
        root: what the paths are relative to, in the fingerprint.
        class_names: by label.
        splits: files of "train", and of "validation" and "test" if these are given.
        left_out: what is not used, and why; "" if nothing.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, Files]
    left_out: str = ""


@functools.cache
def suffixes() -> frozenset[str]:
    """The endings, in small letters, of the files whose pixels Pillow reads."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in NO_PIXELS)


def natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts numbers in names by their value, 2 before 10."""
    parts = re.split(r"(\d+)", name)  # text and digits by turns, so that like is compared with like
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def check_classes(listing: Listing, called: str, mend: str) -> None:
    """Refuse classes too small to be divided.

    Args:
        listing: the files.
        called: what a class is, for the message.
        mend: what else can be done than adding images.

    Raises:
        InputError: a class has less than one train image, and one for each split that is taken from these.
    """
    least = 1 + ("validation" not in listing.splits) + ("test" not in listing.splits)
    counts = np.bincount(listing.splits["train"].labels, minlength=len(listing.class_names))
    few = np.flatnonzero(counts < least)
    if len(few):
        name, count = listing.class_names[few[0]], int(counts[few[0]])
        others = f", and {len(few) - 1} more such classes" if len(few) > 1 else ""
        raise InputError(
            f"{called} {name!r} of dataset {listing.name!r} holds {count or 'no'} image{'s' * (count != 1)} "
            f"that can be read{others}: add some until there are {least}, or {mend}"
        )


def make_source(listing: Listing) -> Source:
    """The source of such files, to be held in memory or streamed.

    Args:
        listing: the files.
    """
    return Source(
        listing.name,
        str(listing.root.resolve()),
        _digest(listing, times=True),
        {split: len(files.paths) for split, files in listing.splits.items()},
        functools.partial(_read, listing),
        functools.partial(_encode, listing),
        listing.left_out,
    )


@contextlib.contextmanager
def refusing_unreadable(name: str) -> Iterator[None]:
    """Turns errors of the file system into a sentence.

    Args:
        name: the dataset, for the message.

    Raises:
        InputError: the body met a file or folder that cannot be read.
    """
    try:
        yield
    except PermissionError as error:
        raise InputError(
            f"dataset {name!r} is unreadable, because {error.filename!r} may not be read: change its permissions"
        ) from error
    except OSError as error:
        raise InputError(f"dataset {name!r} is unreadable ({error}): check the folder") from error


def _digest(listing: Listing, times: bool) -> str:
    """Stands for the files, their labels and the names of the classes."""
    files = fingerprint(listing.root, (path for part in listing.splits.values() for path in part.paths), times)
    digest = hashlib.sha256(repr((files, listing.class_names)).encode())
    for split, part in listing.splits.items():
        digest.update(split.encode())
        digest.update(part.labels.tobytes())
    return digest.hexdigest()[:16]


def _read(listing: Listing, split: str, image_size: int | None) -> Split:
    paths, labels = listing.splits[split]
    images = stack(
        listing.name,
        _pieces(paths),
        len(paths),
        channels=3,
        image_size=image_size,
        describe=lambda number: f"image {str(paths[number])!r}",
    )
    return Split(one_channel(images), labels, listing.class_names)


def _pieces(paths: list[Path]) -> Iterable[list[Path]]:
    return (paths[start : start + PIECE] for start in range(0, len(paths), PIECE))


def one_channel(images: UInt8[np.ndarray, "n height width 3"]) -> UInt8[np.ndarray, "n height width channels"]:
    """Without the channels that only repeat the first one, as they do if all images are grey."""
    for start in range(0, len(images), PIECE):
        piece = images[start : start + PIECE]
        if (piece[..., :1] != piece[..., 1:]).any():
            return images
    return np.ascontiguousarray(images[..., :1])


def _encode(listing: Listing) -> dict[str, Encoded]:
    digest = _digest(listing, times=False)
    return {split: _encode_split(listing, files, digest) for split, files in listing.splits.items()}


def _encode_split(listing: Listing, files: Files, digest: str) -> Encoded:
    paths, labels = files
    return Encoded(
        name=listing.name,
        count=len(paths),
        class_names=listing.class_names,
        digest=digest,
        read=lambda row: (paths[row], int(labels[row])),
        labels=lambda: labels,
        describe=lambda row: f"image {str(paths[row])!r}",
    )
