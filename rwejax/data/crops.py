"""Squares cut from an encoded photograph: a random one to train on, the middle one to test on."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from rwejax.data.images import opaque, opened, upright

AREA = (0.08, 1.0)  # of the image
ASPECT = (3 / 4, 4 / 3)  # width by height
TRIES = 10  # after which the image is so long that hardly any box fits

# Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NeurIPS 2012: crops of 224 pixels
# from images of 256.
MARGIN = 256 / 224

Square = UInt8[np.ndarray, "size size 3"]


def random_box(rng: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Draws the part of an image to train on.

    Its share of the image's area is uniform in `AREA`, its aspect ratio log-uniform in `ASPECT`, its place uniform
    among those inside the image; a box that fits nowhere is drawn anew. An image too long for any is cut in its middle
    to the nearest allowed aspect ratio.

    Source: Szegedy et al., Going deeper with convolutions, CVPR 2015, section 6, https://arxiv.org/abs/1409.4842.

    Args:
        rng: draws area, aspect ratio and place.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        Left, upper, right and lower edge in whole pixels.
    """
    for _ in range(TRIES):
        area = width * height * rng.uniform(*AREA)
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, upper = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
            return left, upper, left + wide, upper + high
    aspect = min(max(width / height, ASPECT[0]), ASPECT[1])
    wide, high = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, upper = (width - wide) // 2, (height - high) // 2
    return left, upper, left + wide, upper + high


def random_crop(encoded: bytes | Path, image_size: int, rng: np.random.Generator, flip: bool = True) -> Square:
    """Cuts out a random box, resizes it and perhaps mirrors it every other time.

    Args:
        encoded: the bytes of an image, or the file that holds it.
        image_size: height and width in pixels of what comes out.
        rng: draws the box and whether it is mirrored.
        flip: whether it may be.

    Raises:
        DecodeError: the image is unreadable, broken or not made of 8-bit pixels.
    """
    with opened(encoded) as image:
        width, height = image.size
        left, upper, right, lower = random_box(rng, width, height)
        mirrored = rng.random() < 0.5 and flip
        # A jpeg decodes to a half, a quarter or an eighth of its size in less time, which is done while the box keeps
        # image_size pixels a side.
        shrink = min(right - left, lower - upper) / image_size
        drafted = image.draft(None, (math.ceil(width / shrink), math.ceil(height / shrink)))
        scale = drafted[1][2] / width if drafted else 1.0
        box = (left * scale, upper * scale, right * scale, lower * scale)
        whole = opaque(image, encoded).convert("RGB")
        crop = upright(whole.resize((image_size, image_size), Image.Resampling.BILINEAR, box), encoded)
        return np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else crop)


def centre_crop(encoded: bytes | Path, image_size: int) -> Square:
    """Resizes the shorter side to image_size * `MARGIN` pixels and cuts out the middle.

    Args:
        encoded: the bytes of an image, or the file that holds it.
        image_size: height and width in pixels of what comes out.

    Raises:
        DecodeError: the image is unreadable, broken or not made of 8-bit pixels.
    """
    with opened(encoded) as image:
        whole = upright(opaque(image, encoded).convert("RGB"), encoded)
        shorter = round(image_size * MARGIN)
        width, height = (shorter * side // min(whole.size) for side in whole.size)
        left, upper = round((width - image_size) / 2), round((height - image_size) / 2)
        resized = whole.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized.crop((left, upper, left + image_size, upper + image_size)))
