"""What comes before the first cell or phase: a choice of the spaces that go from small images to large ones."""

from typing import NamedTuple

from rwejax.errors import InputError

STEMS = {"cifar": 1, "imagenet": 8}
"""The stems, and by how much they divide height and width."""


class Kernel(NamedTuple):
    """A normalised 3x3 convolution of a stem.

    Attributes:
        read: channels in.
        written: channels out.
        stride: height and width of the image over those of its result.
    """

    read: int
    written: int
    stride: int = 1


def imagenet(image_channels: int, channels: int) -> list[Kernel]:
    """The stem of the mobile setting of DARTS (Liu et al., ICLR 2019): three of stride 2.

    Args:
        image_channels: channels of an image.
        channels: that the stem ends with, an even number.
    """
    return [Kernel(image_channels, channels // 2, 2), Kernel(channels // 2, channels, 4), Kernel(channels, channels, 8)]


def cost(kernels: list[Kernel], input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Multiply-adds for one image, and parameters.

    Args:
        kernels: the convolutions of the stem.
        input_shape: height, width and channels of an image, in pixels.
    """
    pixels = input_shape[0] * input_shape[1]
    macs = sum(9 * kernel.read * kernel.written * (pixels // kernel.stride**2) for kernel in kernels)
    return macs, sum((9 * kernel.read + 2) * kernel.written for kernel in kernels)


def check(stem: str, channels: int) -> None:
    """Refuse a stem that is not there, or cannot have so many channels.

    Args:
        stem: its name, one of `STEMS`.
        channels: that the stem is to end with.

    Raises:
        InputError: the stem is unknown, or the channels are odd for the imagenet stem.
    """
    if not isinstance(stem, str) or stem not in STEMS:
        raise InputError(f"stem {stem!r} is unknown: choose one of {', '.join(STEMS)}")
    if stem == "imagenet" and channels % 2:
        raise InputError(f"channels is {channels}: the stem imagenet begins with half of them; give an even one")


def check_size(space: str, input_shape: tuple[int, int, int], multiple: int) -> None:
    """Refuse images whose maps cannot be halved as often as a space does.

    Args:
        space: name of the space, for the error.
        input_shape: height, width and channels of an image, in pixels.
        multiple: what height and width must be multiples of, a power of 2.

    Raises:
        InputError: height or width is no multiple, which is a power of 2.
    """
    height, width, _ = input_shape
    if min(height, width) < multiple or height % multiple or width % multiple:
        raise InputError(
            f"images are {height} x {width} pixels: the {space} space halves its maps {multiple.bit_length() - 1} "
            f"times; give --image-size a multiple of {multiple}"
        )
