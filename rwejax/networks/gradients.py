"""The gradients of convolutions and of batch normalisation in the form that is fastest on a CPU.

What was measured with XLA's CPU backend, on one core with 64 images of 16 x 16 and 16 channels:

- The gradient in the images of a convolution of stride 1 is the convolution with its kernel turned round, in the form
  that is fastest forwards: 0.8 ms of a 3x3 one, where the transpose of the product with patches takes 1.9.
- The gradient in the kernel is a convolution in which images are channels: 1.3 ms, where the product with patches takes
  3 to 9. XLA's own derivative of a convolution is that too, but not that of the forms that are fast forwards. Of a 3x3
  one of stride 1, minimal filtering along the height has half the products: a quarter to a third less on maps of 8 x 8
  and more.
- Of a depthwise one, sums over the images of products of shifted maps, sixteen images at a time: XLA makes vectors of
  sums that are written out, and none of a reduction. 0.8 ms of a 5x5 one, where the reductions take 5.7.
- That in the matrix of a product is one over both factors' first axis. On a quiet core it is a little faster (0.36 ms
  for 0.43) to turn the first factor round in memory before; with both cores busy, and more channels than fit in a
  cache, that takes 1.6 ms of 32 channels where this takes 0.95.
- That of batch normalisation, and of the ReLU behind it, takes fewer passes over the map in closed form: 0.50 ms on
  maps of 14 x 14, read from a buffer and written to one, where the one that JAX derives takes 0.6.

A function has these gradients where it was traced inside `in_training`: they cannot be differentiated forwards, as
`jax.jvp` does.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_TOGETHER = 16  # images that are summed in one expression

Bilinear = Callable[[Array, Array], Array]
_training: contextvars.ContextVar[bool] = contextvars.ContextVar("training", default=False)


@contextlib.contextmanager
def in_training() -> Iterator[None]:
    """What is traced inside is going to be differentiated in reverse, once."""
    token = _training.set(True)
    try:
        yield
    finally:
        _training.reset(token)


def is_training() -> bool:
    """Whether this is traced inside `in_training`."""
    return _training.get()


def differentiated(form: Bilinear, in_x: Bilinear, in_kernel: Bilinear) -> Bilinear:
    """A function of images and a kernel, linear in either, with gradients of its own.

    Args:
        form: the function.
        in_x: takes the gradient in the result, and the kernel, to that in the images.
        in_kernel: takes the images, and the gradient in the result, to that in the kernel.
    """

    def forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        return form(x, kernel), (x, kernel)

    def backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
        x, kernel = kept
        return in_x(gradient, kernel), in_kernel(x, gradient)

    function = jax.custom_vjp(form)
    function.defvjp(forward, backward)
    return function


def diagonals(x: Float[Array, "images height width channels"], stride: int) -> list[Array]:
    """The pixels of each row and column that a stride meets, begun at (0, 0), at (1, 1) and so on.

    Args:
        x: maps, of a height and width that the stride divides.
        stride: of rows and columns; so many maps come out.
    """

    def taken(x: Array) -> list[Array]:
        return [x[:, i::stride, i::stride] for i in range(stride)]

    def backward(_: tuple[()], parts: list[Array]) -> tuple[Array]:
        # XLA would pad each with zeros between its pixels and add them, at twice the time.
        rows = [[part if i == j else jnp.zeros_like(part) for j in range(stride)] for i, part in enumerate(parts)]
        whole = jnp.stack([jnp.stack(row, 3) for row in rows], 2)
        images, height, width, channels = parts[0].shape
        return (whole.reshape(images, height * stride, width * stride, channels),)

    if stride == 1 or not is_training():
        return taken(x)
    function = jax.custom_vjp(taken)
    function.defvjp(lambda x: (taken(x), ()), backward)
    return function(x)


def turned(kernel: Float[Array, "rows columns inputs outputs"]) -> Float[Array, "rows columns outputs inputs"]:
    """The kernel that takes a gradient back through a convolution of stride 1.

    Args:
        kernel: of the convolution.
    """
    return kernel[::-1, ::-1].swapaxes(2, 3)


def turned_padding(
    padding: Sequence[Sequence[int]], size: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """The padding of a gradient that is taken back through a convolution of stride 1.

    Args:
        padding: (before, after) of rows and of columns.
        size: of the kernel, in taps.
        dilation: distance of the taps.
    """
    reach = [far * (taps - 1) for far, taps in zip(dilation, size, strict=True)]
    return [(far - before, far - after) for far, (before, after) in zip(reach, padding, strict=True)]


def of_kernel(
    x: Array,
    gradient: Array,
    size: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[Sequence[int]],
    dilation: Sequence[int],
) -> Float[Array, "rows columns inputs outputs"]:
    """The gradient in the kernel of a convolution.

    Args:
        x: (images, height, width, inputs), what was convolved.
        gradient: (images, new_height, new_width, outputs), in its result.
        size: of the kernel, in taps.
        strides: of rows and columns.
        padding: (before, after) of rows and of columns.
        dilation: distance of the taps.
    """
    around = []
    for axis in range(2):
        reach = dilation[axis] * (size[axis] - 1) + strides[axis] * (gradient.shape[1 + axis] - 1) + 1
        around.append((padding[axis][0], reach - x.shape[1 + axis] - padding[axis][0]))

    def plain(x: Array, gradient: Array) -> Array:
        return lax.conv_general_dilated(
            x, gradient, dilation, around, rhs_dilation=strides, dimension_numbers=("CHWN", "IHWO", "HWNC")
        )

    def on_cpu(x: Array, gradient: Array) -> Array:
        # Inside of loops XLA leaves the order of axes as it is, and is forty times slower in any other than its own.
        x, gradient = lax.optimization_barrier((x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3)))
        found = lax.conv_general_dilated(
            x,
            gradient,
            dilation,
            around,
            rhs_dilation=strides,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return lax.optimization_barrier(found).transpose(1, 2, 0, 3)

    return lax.platform_dependent(x, gradient, cpu=on_cpu, default=plain)


def of_depthwise_kernel(
    x: Array, gradient: Array, taps: Callable[[Array], list[list[Array]]], size: Sequence[int]
) -> Float[Array, "rows columns one channels"]:
    """The gradient in the kernel of a depthwise convolution.

    Args:
        x: (images, height, width, channels), what was convolved.
        gradient: (images, new_height, new_width, channels), in its result.
        taps: what each tap of the kernel reads of some images, row by row.
        size: of the kernel, in taps.
    """
    together = math.gcd(len(x), _TOGETHER)
    images, gradients = (each.reshape(-1, together, *each.shape[1:]) for each in (x, gradient))

    def step(sums: list[Array], part: tuple[Array, Array]) -> tuple[list[Array], None]:
        read = [tap for row in taps(part[0]) for tap in row]
        products = [reduce(jnp.add, [tap[n] * part[1][n] for n in range(together)]) for tap in read]
        return [total + product for total, product in zip(sums, products, strict=True)], None

    nothing = jnp.zeros(gradient.shape[1:], gradient.dtype)
    sums, _ = lax.scan(step, [nothing] * math.prod(size), (images, gradients))
    return jnp.stack([total.sum((0, 1)) for total in sums]).reshape(*size, 1, -1)


Moments = tuple[Float[Array, " channels"], Float[Array, " channels"]]


def moments(x: Float[Array, "*pixels channels"]) -> Moments:
    """Mean and variance of each channel, as `flax.linen.BatchNorm` computes them, as constants.

    Args:
        x: a map.
    """
    x, axes = lax.stop_gradient(x), tuple(range(x.ndim - 1))
    mean = x.mean(axes)
    return mean, jnp.maximum(0, jnp.square(x).mean(axes) - jnp.square(mean))


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def normalised(
    x: Float[Array, "*pixels channels"],
    of_batch: Moments,
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
    epsilon: float,
) -> Float[Array, "*pixels channels"]:
    """Batch normalisation by the statistics of a batch, with its gradient in closed form [1].

    Args:
        x: a map.
        of_batch: its `moments`. The gradient in x knows that they depend on it.
        scale: of each channel.
        bias: of each channel.
        epsilon: added to variances.

    [1] Ioffe, Szegedy, "Batch normalization", ICML 2015, section 3.
    """
    return _normalised(x, of_batch, scale, bias, epsilon)[0]


def _normalised(
    x: Array, of_batch: Moments, scale: Array, bias: Array, epsilon: float
) -> tuple[Array, tuple[Array, ...]]:
    mean, variance = of_batch
    inverse = lax.rsqrt(variance + epsilon)
    return (x - mean) * (inverse * scale) + bias, (x, mean, inverse, scale)


def _in_normalised(epsilon: float, kept: tuple[Array, ...], gradient: Array) -> tuple[Array | None, ...]:
    x, mean, inverse, scale = kept
    axes, pixels = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    centred = x - mean
    in_bias, in_scale = gradient.sum(axes), inverse * (centred * gradient).sum(axes)
    each = inverse * scale
    in_x = each * gradient - each * in_bias / pixels - centred * (each * inverse * in_scale / pixels)
    return in_x, None, in_scale, in_bias


normalised.defvjp(_normalised, _in_normalised)


@jax.custom_vjp
def known(x: Array, value: Array) -> Array:
    """A value that is known, with the gradient of what it would be computed by, which is then left out.

    Args:
        x: how it would be computed.
        value: what comes of it.
    """
    return value


known.defvjp(lambda x, value: (value, None), lambda _, gradient: (gradient, None))


def product(x: Float[Array, "... inputs"], kernel: Float[Array, "inputs outputs"]) -> Float[Array, "... outputs"]:
    """`x @ kernel`, in training with the gradients that are fastest on a CPU.

    Args:
        x: maps.
        kernel: a matrix.
    """
    if not is_training():
        return x @ kernel

    def in_kernel(x: Array, gradient: Array) -> Array:
        return lax.dot_general(
            x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1]), (((0,), (0,)), ((), ()))
        )

    return differentiated(jnp.matmul, lambda gradient, kernel: gradient @ kernel.T, in_kernel)(x, kernel)
