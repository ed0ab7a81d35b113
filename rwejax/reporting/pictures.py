"""Pixels as pictures inside a page."""

import base64
import io
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def to_uri(pixels: UInt8[np.ndarray, "height width channels"]) -> str:
    """A picture as a data URI of a PNG file.

    Args:
        pixels: grey, coloured, or coloured with opacity.
    """
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def in_a_row(pictures: Iterable[UInt8[np.ndarray, "height width channels"]]) -> str:
    """Pictures beside each other, as one data URI.

    Args:
        pictures: of equal size.
    """
    return to_uri(np.concatenate(list(pictures), axis=1))
