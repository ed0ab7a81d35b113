"""What the Flax modules of the slots are built from.

A slot's module is called as `module(sources, norm)`. How many sources there are, the compiled code does not know.
Kernels are He-normal [1]. Normalisation has no scale or bias. For a search its statistics come from a calibration batch
and are constants afterwards, so that an image's feature depends on that image alone.

[1] He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from rwejax.networks import convolutions, gradients

Images = Float[Array, "images height width channels"]
Index = Int[Array, ""] | int

IMAGES_AXIS = "images"  # the mesh axis over which a batch of images is split

_EPSILON = 1e-5  # added to variances


@dataclass(frozen=True)
class Norm:
    """What a normalisation does.

    With random weights: `BATCH` uses the statistics of the batch at hand and stores them, `STORED` uses the stored,
    `NONE` does nothing. In a network that is trained, with scale and bias: `TRAIN` uses the statistics of the batch and
    moves the running ones, `RUNNING` uses the running.

    Attributes:
        mode: which of these.
        images: of `BATCH`, the first so many images of a device have the statistics, for all of them; None: all have.
    """

    mode: str
    images: int | None = None

    BATCH: ClassVar["Norm"]
    STORED: ClassVar["Norm"]
    NONE: ClassVar["Norm"]
    TRAIN: ClassVar["Norm"]
    RUNNING: ClassVar["Norm"]

    @property
    def stores(self) -> bool:
        """Whether it stores the statistics of a batch."""
        return self.mode == "batch"


Norm.BATCH, Norm.STORED, Norm.NONE = Norm("batch"), Norm("stored"), Norm("none")
Norm.TRAIN, Norm.RUNNING = Norm("train"), Norm("running")


Summed = Callable[..., Images]
"""A function of some sources' maps, of their positions among the slot's possible inputs, and of weights, which is the
sum of what it gives of each of them alone."""


@dataclass(frozen=True)
class Sources:
    """What a row reads.

    Attributes:
        read: gives the k-th source.
        blocks: position of each source among the slot's possible inputs; the first `fan_in` count.
        fan_in: number of sources; where it is no array, one source needs no mixing and no weights for it.
    """

    read: Callable[[Index], Images]
    blocks: Int[Array | np.ndarray, " arity"]
    fan_in: Int[Array, ""] | int

    @property
    def arity(self) -> int:
        """The most sources that the row could have."""
        return len(self.blocks)

    @property
    def channels(self) -> int:
        """Channels of each source."""
        return jax.eval_shape(lambda: self.read(0)).shape[-1]

    def __getitem__(self, k: Index) -> Images:
        return self.read(k)

    def add_up(self, function: Summed, *weights: Array, alone: Callable[[Images], Images] | None = None) -> Images:
        """A sum over the sources. What is not there is not read.

        Args:
            function: of maps, their positions and the weights; of several maps together it may be quicker.
            weights: all that gradients are taken in, but for the maps.
            alone: what becomes of a single source; by default it is summed as several are.
        """

        def of(count: int) -> Images:
            maps = [self[k] for k in range(count)]
            return alone(maps[0]) if alone and count == 1 else function(maps, self.blocks[:count], *weights)

        if isinstance(self.fan_in, int):
            return of(self.fan_in)
        return lax.switch(self.fan_in - 1, [partial(of, count) for count in range(1, self.arity + 1)])


@struct.dataclass
class Shown:
    """What observers find in the collections `relus` and `norms`: the input of a ReLU or of a normalisation.

    Attributes:
        x: the map.
        source: of which source it is the map, if of one; sources beyond a row's fan-in are padding and do not count.
    """

    x: Images
    source: int | None = struct.field(pytree_node=False, default=None)

    def counts(self, fan_in: Int[Array, ""] | int) -> Bool[Array, ""]:
        """Whether it is a row's own, or that of one of its sources."""
        return jnp.asarray(self.source is None or self.source < fan_in)


def shown(collection: Any) -> list[Shown]:
    """All that modules have shown in a collection, in the order of their names."""
    return jax.tree.leaves(collection, is_leaf=lambda x: isinstance(x, Shown))


def relu(module: nn.Module, x: Images) -> Images:
    """ReLU whose input observers see.

    Args:
        module: the one that owns it, in whose variables observers find what was seen.
        x: what the ReLU is given.
    """
    module.sow("relus", "input", Shown(x))
    return nn.relu(x)


def show_relus(module: nn.Module, sources: Sources) -> None:
    """Show observers that each source goes through a ReLU, where that happens inside `Sources.add_up`.

    Args:
        module: the one that owns the ReLUs.
        sources: of the row; those beyond its fan-in are shown too, and are known as such.
    """
    for k in range(sources.arity):
        module.sow("relus", "input", Shown(sources[k], k))


def convolved(module: nn.Module, x: Images, counts: Bool[Array, ""] | bool = True) -> Images:
    """A convolution's output: observers see it in the collection `outputs`, zero where none; `shifts` are added.

    The collection `kept` has it as it is, for a pass backwards.

    Args:
        module: the one that owns it, in whose variables observers find what was seen.
        x: what the convolution has given.
        counts: whether this is a row's own, or of a source that is only padding.
    """
    x = _kept(module, "kept", x)
    module.sow("outputs", "output", jnp.where(counts, x, 0), reduce_fn=lambda _, new: new, init_fn=lambda: 0)
    return module.perturb("output", x, "shifts")


def _kept(module: nn.Module, collection: str, value: Any) -> Any:
    """What an earlier pass has left in a collection, where it has, so that it is not computed again."""
    if module.has_variable(collection, "value"):
        return jax.tree.map(gradients.known, value, module.get_variable(collection, "value"))
    module.sow(collection, "value", value, reduce_fn=lambda _, new: new, init_fn=lambda: 0)
    return value


class Convolution(nn.Conv):
    """Flax's convolution, observed."""

    def __call__(self, x: Images) -> Images:
        """Convolve."""
        return convolved(self, super().__call__(x))


def convolution(
    channels: int, size: int | tuple[int, int] = 1, stride: int | tuple[int, int] = 1, **options: Any
) -> nn.Module:
    """A He-normal convolution without bias; padding keeps the size at stride 1, also of a dilated one.

    Args:
        channels: of its result.
        size: of its kernel in pixels, square or (height, width).
        stride: in pixels, likewise.
        options: other fields of `flax.linen.Conv`, such as `padding` and `kernel_dilation`.
    """
    sizes = (size, size) if isinstance(size, int) else size
    strides = (stride, stride) if isinstance(stride, int) else stride
    reach = [options.get("kernel_dilation", 1) * (each // 2) for each in sizes]
    settings: dict[str, Any] = {
        "padding": [(each, each) for each in reach],
        "use_bias": False,
        "kernel_init": nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
        "conv_general_dilated": convolutions.convolve,
    }
    return Convolution(channels, sizes, strides, **settings | options)


def depthwise(channels: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    """A convolution in which each channel has its own filter.

    Args:
        channels: of what it reads and of its result.
        size: of its square kernel, in taps.
        stride: in pixels.
        dilation: distance of the taps, in pixels.
    """
    return convolution(channels, size, stride, kernel_dilation=dilation, feature_group_count=channels)


class Normalise(nn.Module):
    """Zero mean and unit variance for each channel, of the images whose statistics are used."""

    @nn.compact
    def __call__(self, x: Images, norm: Norm) -> Images:
        """Normalise; observers of the collection `norms` see the input."""
        self.sow("norms", "input", Shown(x))
        if norm is Norm.NONE:
            return x
        if norm in (Norm.TRAIN, Norm.RUNNING):
            layer = nn.BatchNorm(norm is Norm.RUNNING, momentum=0.9)
            y = layer(x)
            if norm is Norm.RUNNING:
                return y
            of_batch = _kept(self, "moments", gradients.moments(x))
            if not gradients.is_training():
                return y
            params = layer.variables["params"]
            return gradients.normalised(x, of_batch, params["scale"], params["bias"], layer.epsilon)
        mean, variance = (
            self.variable("batch_stats", name, jnp.zeros, x.shape[-1:], jnp.float32) for name in ("mean", "variance")
        )
        if norm.stores and not self.is_initializing():
            mean.value, variance.value = moments(x[: norm.images])
        return ((x - mean.value) * lax.rsqrt(variance.value + _EPSILON)).astype(x.dtype)


def moments(x: Images) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
    """Mean and variance of each channel, over the images of all devices.

    Both come from one pass over the map: subtracted from a pixel near their mean, numbers can be squared and summed
    without loss [1].

    Args:
        x: a map, whose images are split over `IMAGES_AXIS`.

    [1] Chan, Golub, LeVeque, "Algorithms for computing the sample variance", The American Statistician 37 (3), 1983.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    near = lax.stop_gradient(x[0, 0, 0])
    distance = x - near
    mean = distance.mean((0, 1, 2))
    variance = jnp.maximum(jnp.square(distance).mean((0, 1, 2)) - jnp.square(mean), 0)
    mean += near
    of_all = lax.pmean(mean, IMAGES_AXIS)
    return of_all, lax.pmean(variance + jnp.square(mean - of_all), IMAGES_AXIS)


def pointwise(
    module: nn.Module, sources: Sources, channels: int, name: str = "blocks"
) -> tuple[Summed, Float[Array, "arity inputs channels"]]:
    """A 1x1 convolution of several sources concatenated on channels, as one product.

    The module owns one kernel block for each possible input, scaled by the real fan-in.

    Args:
        module: owns the blocks.
        sources: what is concatenated.
        channels: channels of the result.
        name: of the blocks among the module's parameters; it begins with `blocks`.

    Returns:
        A function that adds up, and the blocks, which are its weights.
    """
    initialiser = nn.initializers.variance_scaling(2.0, "fan_in", "normal", batch_axis=(0,))
    kernel = module.param(name, initialiser, (sources.arity, sources.channels, channels))
    scale = lax.rsqrt(jnp.maximum(sources.fan_in, 1).astype(kernel.dtype))

    def product(maps: list[Images], blocks: Int[Array, " count"], kernel: Array) -> Images:
        chosen = kernel[blocks] * scale
        return gradients.product(jnp.concatenate(maps, -1), chosen.reshape(-1, channels))

    return product, kernel


class Mix(nn.Module):
    """Several sources mixed by a bare 1x1 convolution; a single one goes straight in."""

    @nn.compact
    def __call__(self, sources: Sources) -> Images:
        """Mix the sources."""
        if isinstance(sources.fan_in, int) and sources.fan_in == 1:
            return sources[0]
        product, kernel = pointwise(self, sources, sources.channels)
        return convolved(self, sources.add_up(product, kernel, alone=lambda x: x), sources.fan_in > 1)


class Sum(nn.Module):
    """The sum of all sources; of two it is one pass over them."""

    always_two: bool = False

    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Add the sources."""
        sources = replace(sources, fan_in=2) if self.always_two else sources
        return sources.add_up(lambda maps, blocks: reduce(jnp.add, maps))


class Unused(nn.Module):
    """In the place of an operation that no row has."""

    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Return the source, which has the shape of the result."""
        return sources[0]


class Stem(nn.Module):
    """The first 3x3 convolution of the image, and its normalisation."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Compute the first feature map."""
        return Normalise()(convolution(self.channels, 3)(sources[0]), norm)


class Quarter(nn.Module):
    """The stem of DARTS' mobile setting, up to a quarter of the image: two 3x3 convolutions of stride 2."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the image."""
        x = Normalise()(convolution(self.channels // 2, 3, 2)(sources[0]), norm)
        return Normalise()(convolution(self.channels, 3, 2)(relu(self, x)), norm)


class Halve(nn.Module):
    """ReLU, 3x3 convolution of stride 2, normalisation: the rest of that stem."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        return Normalise()(convolution(self.channels, 3, 2)(relu(self, sources[0])), norm)
