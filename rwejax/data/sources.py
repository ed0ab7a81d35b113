"""Where images come from: what a source is, the embedded digits, and a folder of the user's own images."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from rwejax.data.images import PIECE, Split, resize, stack
from rwejax.errors import InputError

DIGITS = "digits"
DIGITS_SIZE = 16  # networks pool an image two or three times, for which 8x8 is too small
FOLDER = "folder:"
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})
SMALLEST_CLASS = 3  # images: one each to train, to validate and to test


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled images that have been found but not read.

    Attributes:
        name: the dataset's, as the user gave it.
        location: where the images lie; two sources are the same if it is.
        fingerprint: changes whenever the files do.
        test_split: what to test on; None if a part of the train split is to be held out.
        read: from a split and an image_size to the images. Raises `InputError`.
    """

    name: str
    location: str
    fingerprint: str
    test_split: str | None
    read: Callable[[str, int | None], Split]


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
        digest.update(f"{file.relative_to(root)}\0{status.st_size}\0{changed}\n".encode(errors="replace"))
    return digest.hexdigest()[:16]


def digits() -> Source:
    """The 1,797 scans of handwritten digits in scikit-learn: 8x8 pixels, one channel, ten classes.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    mark = f"scikit-learn-{version('scikit-learn')}"
    return Source(DIGITS, location=DIGITS, fingerprint=mark, test_split=None, read=_read_digits)


def _read_digits(split: str, image_size: int | None) -> Split:
    del split  # there is only one
    from sklearn.datasets import load_digits  # costs a second that only the first run should pay

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    images = np.stack([resize(image, image_size or DIGITS_SIZE) for image in pixels])
    return Split(images, bunch.target.astype(np.int32), tuple(map(str, bunch.target_names)))


def folder(name: str) -> Source:
    """The images in `folder:PATH`, one folder a class; classes are numbered in the order of their names, 2 before 10.

    Args:
        name: `folder:PATH`; a ~ is the user's home.

    Raises:
        InputError: PATH is missing or unreadable, or does not hold at least two folders of at least three images.
    """
    with _refusing_unreadable(name):
        root, files = _find_files(name)
        mark = fingerprint(root, (file for images in files for file in images))
    return Source(name, str(root.resolve()), mark, test_split=None, read=functools.partial(_read_folder, name, files))


def encoded_folder(name: str) -> Encoded:
    """The images in `folder:PATH`, in the order and with the labels and errors of `folder`.

    Args:
        name: `folder:PATH`.

    Raises:
        InputError: as `folder` does.
    """
    with _refusing_unreadable(name):
        root, files = _find_files(name)
        digest = fingerprint(root, (file for images in files for file in images), times=False)
    paths = [file for images in files for file in images]
    labels = _labels(files)
    return Encoded(
        name=name,
        count=len(paths),
        class_names=_class_names(files),
        digest=digest,
        read=lambda row: (paths[row], int(labels[row])),
        labels=lambda: labels,
        describe=lambda row: f"image {str(paths[row])!r}",
    )


@contextlib.contextmanager
def _refusing_unreadable(name: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise InputError(
            f"dataset {name!r} is unreadable, because {error.filename!r} may not be read: change its permissions"
        ) from error
    except OSError as error:
        raise InputError(f"dataset {name!r} is unreadable ({error}): check the folder") from error


def _find_files(name: str) -> tuple[Path, list[list[Path]]]:
    """The folder, and the files of every class."""
    root = Path(os.path.expanduser(name.removeprefix(FOLDER)))
    if not name.removeprefix(FOLDER):
        raise InputError(f"dataset {name!r} names no folder: write 'folder:PATH', PATH holding one folder a class")
    return root, _list_classes(name, root)


def _list_classes(name: str, root: Path) -> list[list[Path]]:
    if not root.exists():
        raise InputError(f"dataset {name!r} does not exist: write 'folder:PATH' with the PATH of an existing folder")
    if not root.is_dir():
        raise InputError(f"dataset {name!r} is not a folder but a file: name the folder that holds one folder a class")
    classes = sorted((path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")), key=_natural)
    if len(classes) < 2:
        found = f"only the class folder {classes[0].name!r}" if classes else "no class folders"
        raise InputError(f"dataset {name!r} holds {found}: put the images into one folder a class, two at least")
    files = []
    for path in classes:
        images = sorted(
            file
            for file in path.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
        if len(images) < SMALLEST_CLASS:
            raise InputError(
                f"class folder {path.name!r} of dataset {name!r} holds {len(images) or 'no'} "
                f"image{'s' * (len(images) != 1)} ({', '.join(sorted(s[1:] for s in SUFFIXES))}): "
                f"add some until there are {SMALLEST_CLASS}, or remove the folder"
            )
        files.append(images)
    return files


def _natural(path: Path) -> tuple[list[str | int], str]:
    """A key that sorts numbers in names by their value."""
    parts = re.split(r"(\d+)", path.name)  # text and digits by turns, so that like is compared with like
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _read_folder(name: str, files: list[list[Path]], split: str, image_size: int | None) -> Split:
    del split  # there is only one
    paths = [file for images in files for file in images]
    images = stack(
        name,
        (paths[start : start + PIECE] for start in range(0, len(paths), PIECE)),
        len(paths),
        channels=3,
        image_size=image_size,
        describe=lambda number: f"image {str(paths[number])!r}",
    )
    return Split(images, _labels(files), _class_names(files))


def _class_names(files: list[list[Path]]) -> tuple[str, ...]:
    # A name that is not UTF-8 is written as it can be shown.
    names = (os.fsencode(images[0].parent.name) for images in files)
    return tuple(name.decode(errors="backslashreplace") for name in names)


def _labels(files: list[list[Path]]) -> Int32[np.ndarray, " images"]:
    return np.repeat(np.arange(len(files), dtype=np.int32), [len(images) for images in files])
