"""Small pictures of equal size in one PNG file, in rows and columns, to be looked at and to be cut apart again."""

import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, PngImagePlugin

from rwejax.errors import InputError
from rwejax.storage.atomic import replacing
from rwejax.storage.files import read_whole

_MOST_BYTES = 2**23
_MOST_PIXELS = 2**22
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ROWS, _COLUMNS = "rows", "columns"

Pictures = UInt8[np.ndarray, "rows columns height width channels"]


def to_pixels(
    images: Float[np.ndarray, "n height width channels"],
    mean: Float[np.ndarray, " channels"],
    std: Float[np.ndarray, " channels"],
    largest: int,
) -> UInt8[np.ndarray, "n height width channels"]:
    """Pixels of standardised images, and of larger ones every so many.

    Args:
        images: standardised.
        mean: what was subtracted from the pixels of each channel, from 0 to 255.
        std: what the rest was divided by.
        largest: height and width that a picture may have.
    """
    step = -(-max(images.shape[1:3]) // largest)
    return np.clip(np.rint(images[:, ::step, ::step] * std + mean), 0, 255).astype(np.uint8)


def write_sheet(path: Path, pictures: Pictures) -> None:
    """Write a file, which appears whole or not at all; of channels that no file has, the first is shown in grey.

    Args:
        path: the file.
        pictures: by row and column.

    Raises:
        OSError: it cannot be written.
    """
    rows, columns, height, width, channels = pictures.shape
    if channels not in _MODES:
        pictures, channels = pictures[..., :1], 1
    sheet = pictures.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    said = PngImagePlugin.PngInfo()
    for name, count in ((_ROWS, rows), (_COLUMNS, columns)):
        said.add_text(name, str(count))
    with replacing(path, "wb") as file:
        Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(file, format="png", pnginfo=said)


def read_sheet(path: Path) -> Pictures | None:
    """The pictures that `write_sheet` wrote; None of a missing file.

    Args:
        path: the file.

    Raises:
        InputError: it is no such file.
    """
    try:
        content = read_whole(path, _MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a picture that is larger than it says
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                return _cut(image)
    except FileNotFoundError:
        return None
    except Exception as error:  # Pillow has one for every way in which a file can be broken
        reason = getattr(error, "strerror", None) or "it is none that rwejax has written"
        raise InputError(f"{str(path)!r} is broken ({reason}): restore it, or take it out of the folder") from error


def _cut(image: Image.Image) -> Pictures:
    said: dict[str, str] = getattr(image, "text", {})
    rows, columns = int(said[_ROWS]), int(said[_COLUMNS])
    if image.width * image.height > _MOST_PIXELS or image.mode not in _MODES.values():
        raise ValueError("too many pixels, or of another kind")
    height, width = image.height // rows, image.width // columns
    if min(rows, columns, height, width) < 1 or (rows * height, columns * width) != (image.height, image.width):
        raise ValueError("the pictures do not fill it")
    sheet = np.asarray(image)
    return sheet.reshape(rows, height, columns, width, -1).swapaxes(1, 2)
