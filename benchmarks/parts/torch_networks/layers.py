"""Layers of more than one space."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Tree = Mapping[str, Any]


class MaxPool(nn.Module):
    """A padded 3x3 max pool as maxima of shifted maps, several times faster on large maps than PyTorch's own."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Along the rows, then along the columns; what is to be differentiated goes PyTorch's way."""
        if torch.is_grad_enabled():
            return functional.max_pool2d(x, 3, self.stride, 1)
        x = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
        for axis in (2, 3):
            span = x.shape[axis] - 2
            before, here, after = (x[(slice(None),) * axis + (slice(k, k + span, self.stride),)] for k in range(3))
            x = torch.maximum(before, here)
            torch.maximum(x, after, out=x)
        return x


class AveragePool(nn.Module):
    """A padded 3x3 average pool as a depthwise convolution of ones, several times faster than PyTorch's own.

    Args:
        channels: channels of the map.
        stride: 1 or 2.
        height: height of the result.
        width: width of the result.
    """

    def __init__(self, channels: int, stride: int, height: int, width: int) -> None:
        super().__init__()
        self.stride, self.channels = stride, channels
        self.register_buffer("ones", torch.ones(channels, 1, 3, 3))
        # The padding is left out of the mean.
        self.register_buffer("share", 1 / self._add_up(torch.ones(1, channels, stride * height, stride * width)))

    def forward(self, x: Tensor) -> Tensor:
        """Add up, and divide by the pixels that are there."""
        return self._add_up(x).mul_(self.share)

    def _add_up(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.ones, stride=self.stride, padding=1, groups=self.channels)


class Zero(nn.Module):
    """Zeros where a map of this stride would be."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Of the map's type and layout."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


def pointwise(blocks: np.ndarray, sources: list[int], groups: int = 1) -> nn.Conv2d:
    """The 1x1 convolution of concatenated sources, which are those of its kernel's (inputs, outputs) blocks.

    It keeps as `sources` how many they are, by whose square root the blocks are divided.
    """
    # The blocks of the sources that are read, one below the other, are the kernel of their concatenation.
    kernel = blocks[sources] / np.sqrt(len(sources), dtype=np.float32)
    layer = convolution(kernel.reshape(1, 1, -1, kernel.shape[-1]), groups=groups)
    layer.sources = len(sources)
    return layer


def convolution(
    kernel: np.ndarray,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution with a kernel of (height, width, inputs of a group, outputs), as Flax has it."""
    height, width, inputs, outputs = kernel.shape
    layer = nn.Conv2d(
        inputs * groups, outputs, (height, width), stride, padding, dilation=dilation, groups=groups, bias=False
    )
    layer.weight = nn.Parameter(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), requires_grad=False)
    return layer


def norm(channels: int) -> nn.BatchNorm2d:
    """Normalisation without scale or bias."""
    return nn.BatchNorm2d(channels, eps=1e-5, affine=False)


def concatenated(maps: Sequence[Tensor]) -> Tensor:
    """Maps one behind the other on channels."""
    return maps[0] if len(maps) == 1 else torch.cat(list(maps), 1)


def slot(weights: Tree, number: int) -> Any:
    """The kernels of one slot."""
    return jax.tree.map(lambda kernel: kernel[number], weights)
