"""From encoded images to one array of pixels."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image, ImageOps

from rwejax.errors import InputError

MINIMUM_SIZE, MAXIMUM_SIZE = 4, 512  # pixels
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
PIECE = 1024  # images decoded at a time; bounds what is in memory twice

# Below this many bytes an image decodes faster than threads hand over Python's lock: 5,000 CIFAR-10 images take
# 0.5 s in one thread and 0.7 s in two. Larger images decode in parallel.
SMALL = 8192


class Split(NamedTuple):
    """All images of one split, before any standardisation."""

    images: UInt8[np.ndarray, "images height width channels"]
    labels: Int32[np.ndarray, " images"]
    class_names: tuple[str, ...]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


class DecodeError(Exception):
    """An encoded image cannot be turned into pixels; says why, in words that complete a sentence."""


def resize(
    image: UInt8[np.ndarray, "height width channels"], image_size: int | None
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    """Resizes to a square with a triangle filter that widens as images shrink, so that nothing aliases.

    Args:
        image: uint8 pixels.
        image_size: height and width in pixels, or None to keep the image as it is.
    """
    if image_size is None or image.shape[:2] == (image_size, image_size):
        return image
    channels = [
        # Channel by channel: Pillow would weigh colours by an alpha channel otherwise.
        np.asarray(Image.fromarray(channel).resize((image_size, image_size), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack(channels, axis=-1)


@contextlib.contextmanager
def opened(encoded: bytes | Path) -> Iterator[Image.Image]:
    """Opens an image that is yet to be decoded, which the body may do.

    Args:
        encoded: the bytes of an image, or the file that holds it.

    Raises:
        DecodeError: it is unreadable, not made of 8-bit pixels, or the body failed.
    """
    try:
        with Image.open(encoded if isinstance(encoded, Path) else io.BytesIO(encoded)) as image:
            if image.mode.startswith(("I", "F")):
                raise DecodeError("does not have 8-bit pixels; convert it")
            yield image
    except DecodeError:
        raise
    except PermissionError as error:
        raise DecodeError("may not be read; change its permissions") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise DecodeError("is broken or no image; remove or replace it") from error


def decode(encoded: bytes | Path, channels: int, image_size: int | None) -> UInt8[np.ndarray, "height width channels"]:
    """Decodes one image, in its first frame, and resizes it.

    A file is turned upright, as cameras leave that to the reader; bytes are from a public set and taken as published.

    Args:
        encoded: the bytes of an image, or the file that holds it.
        channels: 1 grey, 3 RGB, 4 with transparency; the image is converted to them.
        image_size: height and width in pixels to resize to, or None to keep the image as it is.

    Raises:
        DecodeError: it is unreadable, broken or not made of 8-bit pixels.
    """
    with opened(encoded) as image:
        image.load()
        if isinstance(encoded, Path):
            ImageOps.exif_transpose(image, in_place=True)
        pixels = np.asarray(image if image.mode == MODES[channels] else image.convert(MODES[channels]))
    return resize(pixels.reshape(*pixels.shape[:2], channels), image_size)


def stack(
    name: str,
    pieces: Iterable[list[bytes] | list[Path]],
    count: int,
    *,
    channels: int,
    image_size: int | None,
    describe: Callable[[int], str],
) -> UInt8[np.ndarray, "images height width channels"]:
    """Decodes images piece by piece into one array.

    Args:
        name: the dataset, for messages.
        pieces: encoded images, or where they lie, a few at a time.
        count: the images in all pieces together; at least one.
        channels: 1, 3 or 4.
        image_size: side of the square to resize to, in pixels, or None to keep the images as they are.
        describe: names an image by its number, for messages.

    Raises:
        InputError: an image is broken, or without an image_size they differ in size or are too small or large.
    """
    stacked = None
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which changes no pixel
        for piece in pieces:
            try:
                for image in _decode_piece(pool, piece, channels, image_size):
                    if stacked is None:
                        stacked = _allocate(name, count, image.shape, describe(done))
                    if image.shape != stacked.shape[1:]:
                        raise InputError(
                            f"dataset {name!r} has images of several sizes, {_size(stacked.shape[1:])} and "
                            f"{_size(image.shape)} ({describe(done)}): give an image_size to bring all to one"
                        )
                    stacked[done] = image
                    done += 1
            except DecodeError as error:
                raise InputError(f"{describe(done)} of dataset {name!r} {error}") from error
    if stacked is None or done != count:
        raise InputError(f"dataset {name!r} holds {done} images where {count} were announced: prepare it again")
    return stacked


def _decode_piece(
    pool: ThreadPoolExecutor, piece: list[bytes] | list[Path], channels: int, image_size: int | None
) -> Iterator[np.ndarray]:
    def one(encoded: bytes | Path) -> np.ndarray:
        return decode(encoded, channels, image_size)

    sizes = [len(encoded) for encoded in piece if isinstance(encoded, bytes)]
    small = len(sizes) == len(piece) and sum(sizes) < SMALL * len(piece)
    return map(one, piece) if small else pool.map(one, piece)


def _allocate(name: str, count: int, shape: tuple[int, ...], example: str) -> np.ndarray:
    if not all(MINIMUM_SIZE <= side <= MAXIMUM_SIZE for side in shape[:2]):
        raise InputError(
            f"dataset {name!r} has images of {_size(shape)} pixels ({example}), out of range: "
            f"give an image_size from {MINIMUM_SIZE} to {MAXIMUM_SIZE}"
        )
    try:
        return np.empty((count, *shape), np.uint8)
    except MemoryError as error:
        raise InputError(
            f"dataset {name!r} needs {count * np.prod(shape) / 2**30:.0f} GiB of memory: give a smaller image_size"
        ) from error


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
