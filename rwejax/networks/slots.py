"""The Flax modules that slots own.

Each is called as `module(read, blocks, fan_in, calibrate)`: `read(k)` gives the k-th source as a batch of feature maps,
`blocks[k]` its position among the slot's possible inputs, `fan_in` their number, which the compiled code does not know.
Kernels are He-normal [1]. Normalisation has no scale or bias; with `calibrate` its statistics are taken from the batch
at hand and stored, without it they are constants, so that an image's feature depends on that image alone.

[1] He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from rwejax.networks.convolution import convolve

Read = Callable[[Int[Array, ""] | int], Float[Array, "images height width channels"]]

IMAGES_AXIS = "images"  # the mesh axis over which a batch of images is split
_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Mix(nn.Module):
    """Several sources concatenated on channels and mixed by a bare 1x1 convolution; a single one goes straight in.

    The convolution owns one kernel block for each possible input, scaled by the real fan-in, and is computed as a sum
    over the sources, so that no concatenation of varying width is needed.
    """

    arity: int

    @nn.compact
    def __call__(self, read: Read, blocks: Int[Array, " arity"], fan_in: Int[Array, ""]) -> Float[Array, "..."]:
        """Mix the first `fan_in` sources."""
        channels = jax.eval_shape(read, 0).shape[-1]
        initialiser = nn.initializers.variance_scaling(2.0, "fan_in", "normal", batch_axis=(0,))
        kernel = self.param("kernel", initialiser, (self.arity, channels, channels))

        scale = lax.rsqrt(jnp.maximum(fan_in, 1).astype(kernel.dtype))

        def product(k: Int[Array, ""] | int) -> Float[Array, "..."]:
            return read(k) @ (kernel[blocks[k]] * scale)

        def mix() -> Float[Array, "..."]:
            return lax.fori_loop(1, fan_in, lambda k, total: total + product(k), product(0))

        return lax.cond(fan_in > 1, mix, lambda: read(0))


class Normalise(nn.Module):
    """Zero mean and unit variance for each channel; a momentum of 0 makes the stored statistics the batch's own."""

    @nn.compact
    def __call__(self, x: Float[Array, "..."], calibrate: bool) -> Float[Array, "..."]:
        """Normalise, by the statistics of this batch where `calibrate`, else by the stored ones."""
        return nn.BatchNorm(
            momentum=0.0,
            use_bias=False,
            use_scale=False,
            use_fast_variance=False,
            axis_name=None if self.is_initializing() else IMAGES_AXIS,
        )(x, use_running_average=not calibrate)


class Entry(nn.Module):
    """A convolution without norm that brings a single source to the phase's channels."""

    channels: int
    size: int

    @nn.compact
    def __call__(self, read: Read, blocks: Int[Array, " arity"], fan_in: Int[Array, ""], calibrate: bool) -> Array:
        """Convolve the source without padding."""
        size = (self.size, self.size)
        return nn.Conv(self.channels, size, padding="VALID", use_bias=False, kernel_init=_he_normal)(read(0))


class Node(nn.Module):
    """Mix, convolution 3x3, normalisation, ReLU."""

    channels: int
    arity: int

    @nn.compact
    def __call__(self, read: Read, blocks: Int[Array, " arity"], fan_in: Int[Array, ""], calibrate: bool) -> Array:
        """Compute the node's feature map."""
        x = Mix(self.arity)(read, blocks, fan_in)
        conv = nn.Conv(self.channels, (3, 3), use_bias=False, kernel_init=_he_normal, conv_general_dilated=convolve)
        return nn.relu(Normalise()(conv(x), calibrate))


class Output(nn.Module):
    """Mix, normalisation, ReLU, and then a 2x2 max pool, or the global average pool after the last phase."""

    arity: int
    last: bool

    @nn.compact
    def __call__(self, read: Read, blocks: Int[Array, " arity"], fan_in: Int[Array, ""], calibrate: bool) -> Array:
        """Compute the phase's pooled output."""
        x = nn.relu(Normalise()(Mix(self.arity)(read, blocks, fan_in), calibrate))
        return x.mean((1, 2)) if self.last else max_pool(x)


def max_pool(x: Float[Array, "images height width channels"]) -> Float[Array, "images half_height half_width channels"]:
    """2x2 max pool of stride 2; an odd last row or column is left out.

    Strided maxima, one axis after the other: on a CPU several times faster than `reduce_window`.
    """
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    x = jnp.maximum(x[:, 0:height:2], x[:, 1:height:2])
    return jnp.maximum(x[:, :, 0:width:2], x[:, :, 1:width:2])
