"""Operations in plain Flax, which an exported `network.py` is made of.

They compute what those of `rwejax.networks` compute, from parameters of the same names and shapes; the `forms` of a
space's lowering say which stands for which. The source of those that a network uses is copied into its file. Maps are
(images, height, width, channels).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Convolution(nn.Conv):
    """A convolution without bias, He-normal before training."""

    use_bias: bool = False
    kernel_init: nn.initializers.Initializer = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Normalise(nn.Module):
    """Batch normalisation: by the statistics of the batch in training, by the running ones otherwise."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalise; training moves the running statistics, the collection `batch_stats`."""
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)


def pointwise(module: nn.Module, maps: tuple[jax.Array, ...], channels: int, name: str = "blocks") -> jax.Array:
    """A 1x1 convolution of maps concatenated on channels; `module` owns its kernel, a block for each map, as `name`.

    Args:
        module: owns the kernel.
        maps: (images, height, width, channels) each.
        channels: of the result.
        name: of the kernel among the module's parameters.
    """
    initial = nn.initializers.variance_scaling(2.0, "fan_in", "normal", batch_axis=(0,))
    blocks = module.param(name, initial, (len(maps), maps[0].shape[-1], channels))
    return jnp.concatenate(maps, -1) @ (blocks.reshape(-1, channels) / len(maps) ** 0.5)


class Mix(nn.Module):
    """Several maps mixed by a 1x1 convolution; a single one goes straight through."""

    @nn.compact
    def __call__(self, *maps: jax.Array) -> jax.Array:
        """Mix the maps."""
        return pointwise(self, maps, maps[0].shape[-1]) if len(maps) > 1 else maps[0]


class Stem(nn.Module):
    """Convolution 3x3, normalisation."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Compute the first map."""
        return Normalise()(Convolution(self.channels, (3, 3), padding=1)(x), train)


class Entry(nn.Module):
    """A bare convolution without padding, into a phase."""

    channels: int
    size: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve the map."""
        return Convolution(self.channels, (self.size, self.size), padding=0)(x)


class Node(nn.Module):
    """Mix, convolution 3x3, normalisation, ReLU."""

    channels: int

    @nn.compact
    def __call__(self, *maps: jax.Array, train: bool) -> jax.Array:
        """Compute the node's map."""
        return nn.relu(Normalise()(Convolution(self.channels, (3, 3), padding=1)(Mix()(*maps)), train))


class Output(nn.Module):
    """Mix, normalisation, ReLU."""

    @nn.compact
    def __call__(self, *maps: jax.Array, train: bool) -> jax.Array:
        """Compute the map that is pooled."""
        return nn.relu(Normalise()(Mix()(*maps), train))


class Project(nn.Module):
    """ReLU, 1x1 convolution of all maps, normalisation; stride 2 takes half of the channels from shifted pixels."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, *maps: jax.Array, train: bool) -> jax.Array:
        """Project the concatenated maps."""
        maps = tuple(nn.relu(x) for x in maps)
        if self.stride == 1:
            return Normalise()(pointwise(self, maps, self.channels), train)
        even = pointwise(self, tuple(x[:, ::2, ::2] for x in maps), self.channels // 2, "blocks_even")
        odd = pointwise(self, tuple(x[:, 1::2, 1::2] for x in maps), self.channels // 2, "blocks_odd")
        return Normalise()(jnp.concatenate([even, odd], -1), train)


class Separable(nn.Module):
    """ReLU, depthwise and 1x1 convolution, normalisation, once or twice; the stride is the first one's."""

    channels: int
    size: int
    stride: int = 1
    times: int = 2
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolve the map."""
        for stride in (self.stride, 1)[: self.times]:
            x = Convolution(
                self.channels,
                (self.size, self.size),
                stride,
                padding=self.dilation * (self.size // 2),
                kernel_dilation=self.dilation,
                feature_group_count=self.channels,
            )(nn.relu(x))
            x = Normalise()(Convolution(self.channels, (1, 1))(x), train)
        return x


class Quarter(nn.Module):
    """Twice a 3x3 convolution of stride 2 and normalisation, with a ReLU between."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Compute the first map."""
        x = Normalise()(Convolution(self.channels // 2, (3, 3), 2, padding=1)(x), train)
        return Normalise()(Convolution(self.channels, (3, 3), 2, padding=1)(nn.relu(x)), train)


class Halve(nn.Module):
    """ReLU, 3x3 convolution of stride 2, normalisation."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Halve the map."""
        return Normalise()(Convolution(self.channels, (3, 3), 2, padding=1)(nn.relu(x)), train)


class Factorised(nn.Module):
    """ReLU, convolution 1x7, convolution 7x1, normalisation."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolve the map."""
        x = Convolution(self.channels, (1, 7), (1, self.stride), padding=((0, 0), (3, 3)))(nn.relu(x))
        x = Convolution(self.channels, (7, 1), (self.stride, 1), padding=((3, 3), (0, 0)))(x)
        return Normalise()(x, train)


class Edge(nn.Module):
    """ReLU, convolution, normalisation."""

    channels: int
    size: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolve the map."""
        x = Convolution(self.channels, (self.size, self.size), padding=self.size // 2)(nn.relu(x))
        return Normalise()(x, train)


class Residual(nn.Module):
    """Twice ReLU, convolution 3x3, normalisation, beside a 2x2 average pool and a bare 1x1 convolution."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Halve the map."""
        shortcut = Convolution(self.channels, (1, 1))(nn.avg_pool(x, (2, 2), (2, 2)))
        for stride in (2, 1):
            x = Normalise()(Convolution(self.channels, (3, 3), stride, padding=1)(nn.relu(x)), train)
        return x + shortcut


class RectifiedStem(nn.Module):
    """Convolution 3x3, normalisation, ReLU."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Compute the first map."""
        return nn.relu(Stem(self.channels)(x, train))


class Shrink(nn.Module):
    """1x1 convolution of stride 2, normalisation."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Halve the map."""
        return Normalise()(Convolution(self.channels, (1, 1), 2, padding=0)(x), train)


class Bottleneck(nn.Module):
    """Inverted bottleneck: 1x1, depthwise and 1x1 convolution, with a residual where the shapes agree."""

    channels: int
    expansion: int
    size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolve the map."""
        wide, size = self.expansion * x.shape[-1], (self.size, self.size)
        y = nn.relu(Normalise()(Convolution(wide, (1, 1))(x), train))
        y = Convolution(wide, size, self.stride, padding=self.size // 2, feature_group_count=wide)(y)
        y = nn.relu(Normalise()(y, train))
        y = Normalise()(Convolution(self.channels, (1, 1))(y), train)
        return x + y if x.shape == y.shape else y


class Widen(nn.Module):
    """1x1 convolution, normalisation, ReLU."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolve the map."""
        return nn.relu(Normalise()(Convolution(self.channels, (1, 1))(x), train))
