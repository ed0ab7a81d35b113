"""Convolutions and pools in the form that is fastest on the backend.

What XLA's CPU backend does well decides the forms there:

- A 3x3 convolution of stride 1 is Winograd's minimal filtering [1] along the height alone: four rows of the result come
  from six sums of rows, or five from seven, each convolved along the width, with half the multiply-adds of the plain
  form. The second direction would save more of them and lose it again in moving data.
- Below about 24 output channels, or for images of 3, its convolution runs at a tenth to a half of the machine's peak.
  There, two, four or eight neighbouring output pixels are computed as one pixel of so many times the channels: for two,
  a 3x3 kernel becomes one of four columns and stride 2 whose fourth column is zero for either. The neighbours lie along
  the longer side of the kernel, to which they add the fewest zeros: 1x7 grows by 3/7 for four.
- Its depthwise convolution is a hundred times slower than a sum of shifted products, its window reductions several
  times slower than shifted maxima along one axis after the other, and the gradients of its convolutions up to thirty
  times slower than those of a product with the patches.

On a GPU (measured on an NVIDIA H200) a product is two to three times faster than cuDNN's 1x1 convolution, neighbours as
one 1.3 to 2 times faster than its narrow convolutions, and a sum of shifted products 2.5 times faster than its dilated
depthwise convolution, but half as fast as its plain one of 5x5.

[1] Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from rwejax.networks import gradients

_NARROW, _FEW = 24, 4  # output and input channels below which a convolution is slow
_LARGE = 2**21  # bytes of images, beyond which a batch is convolved in pieces
_PIECE = 2**18  # bytes of images that are convolved at a time: with all that comes of them, they fit in a core's cache
_TILES = (4, 5)  # rows of the result that are computed together; more are inexact
_POINTS = (0, 1, -1, 2, -2, 1 / 2)  # where Winograd's polynomials are evaluated, beside infinity

Images = Float[Any, "images height width channels"]  # of JAX or, outside compiled code, of numpy


def convolve(
    x: Images,
    kernel: Float[Any, "rows columns inputs outputs"],
    strides: Sequence[int],
    padding: Any,
    *,
    rhs_dilation: Sequence[int] | None = None,
    feature_group_count: int = 1,
    **options: Any,
) -> Float[Array, "images new_height new_width outputs"]:
    """Drop-in for `lax.conv_general_dilated`, as `flax.linen.Conv` calls it, with any padding that is a list.

    Args:
        x: (images, height, width, channels).
        kernel: (rows, columns, inputs a group, outputs).
        strides: of rows and columns, in pixels.
        padding: (before, after) of rows and of columns, in pixels.
        rhs_dilation: distance of the kernel's taps along rows and columns, in pixels; 1 by default.
        feature_group_count: 1, or the input's channels for a depthwise convolution.
        options: what `flax.linen.Conv` passes on besides: the order of axes, the precision.
    """
    dilation = tuple(rhs_dilation or (1, 1))
    depthwise = feature_group_count == x.shape[-1] > 1
    size = kernel.shape[:2]
    keeps_size = [tuple(each) for each in padding] == [(1, 1)] * 2
    is_plain = (size, tuple(strides), dilation, feature_group_count) == ((3, 3), (1, 1), (1, 1), 1)
    can_be_tiled = keeps_size and is_plain and x.shape[1] >= min(_TILES)

    def plain(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            padding,
            rhs_dilation=dilation,
            feature_group_count=feature_group_count,
            **options,
        )

    def taps(x: Array) -> list[list[Array]]:
        """What each tap of the kernel reads."""
        x = _pad(x, *padding)
        return [
            _taps(rows, 2, size[1], strides[1], dilation[1]) for rows in _taps(x, 1, size[0], strides[0], dilation[0])
        ]

    def shifted(x: Array, kernel: Array) -> Array:
        count = size[0] * size[1]
        weights = iter(lax.split(kernel.reshape(count, 1, 1, -1), [1] * count))
        rows = [reduce(lax.add, [lax.mul(tap, next(weights)) for tap in columns]) for columns in taps(x)]
        return reduce(lax.add, rows)

    def product(x: Array, kernel: Array) -> Array:
        patches = jnp.concatenate([tap for columns in taps(x) for tap in columns], -1)
        return patches @ kernel.reshape(-1, kernel.shape[-1])

    def pointwise(x: Array, kernel: Array) -> Array:
        return gradients.product(taps(x)[0][0], kernel[0, 0])

    def grouped(x: Array, kernel: Array) -> Array:
        axis, count = neighbours
        stride = strides[axis]
        wide = [np.zeros((4, 2), int) for _ in range(count)]
        for k, each in enumerate(wide):
            each[axis] = k * stride, (count - 1 - k) * stride  # the k-th neighbour reads k strides further on
        kernel = jnp.concatenate([jnp.pad(kernel, each) for each in wide], -1)
        if 1 < x.shape[-1] < _FEW:
            more = _FEW - x.shape[-1]
            x = lax.pad(x, np.zeros((), x.dtype), [(0, 0, 0)] * 3 + [(0, more, 0)])
            kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, more), (0, 0)))
        steps = [each * (count if k == axis else 1) for k, each in enumerate(strides)]
        y = lax.conv_general_dilated(x, kernel, steps, padding, **options)
        y = y.reshape(*y.shape[:3], count, -1)
        if axis == 0:  # neighbours that are rows belong in front of the columns
            y = y.swapaxes(2, 3)
        return y.reshape(y.shape[0], *lengths, -1)

    def tiled(x: Array, kernel: Array) -> Array:
        height = x.shape[1]
        tile = _tile(height)
        input_sums, kernel_sums, output_sums = _minimal_filtering(tile)
        x = _pad(x, (1, 1 + -height % tile), (0, 0))
        rows = _sums(input_sums, _taps(x, 1, tile + 2, tile, 1))
        kernel_rows = _sums(kernel_sums, list(kernel))
        products = [
            lax.conv_general_dilated(row, kernel_row[None], (1, 1), ((0, 0), (1, 1)), **options)
            for row, kernel_row in zip(rows, kernel_rows, strict=True)
        ]
        y = jnp.stack(_sums(output_sums, products), 2)
        return y.reshape(x.shape[0], -1, *y.shape[3:])[:, :height]

    def tiled_kernel(x: Array, gradient: Array) -> Array:
        """The gradient in the kernel that `tiled` convolves with: its products are linear in either factor."""
        height = x.shape[1]
        tile = _tile(height)
        input_sums, kernel_sums, output_sums = _minimal_filtering(tile)
        # Images are channels here, see `gradients.of_kernel`.
        x = lax.optimization_barrier(x.transpose(3, 1, 2, 0))
        rows = _sums(input_sums, _taps(_pad(x, (1, 1 + -height % tile), (0, 0)), 1, tile + 2, tile, 1))
        gradient = lax.optimization_barrier(gradient.transpose(1, 2, 0, 3))
        gradient = jnp.pad(gradient, ((0, -height % tile), (0, 0), (0, 0), (0, 0)))
        gradient_rows = _sums(output_sums.T, [gradient[k::tile] for k in range(tile)])
        products = [
            lax.conv_general_dilated(row, of_row, (1, 1), ((0, 0), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"))
            for row, of_row in zip(rows, gradient_rows, strict=True)
        ]
        found = _sums(kernel_sums.T, products)
        return jnp.stack([row[:, 0].transpose(1, 0, 2) for row in found])

    def turned(gradient: Array, kernel: Array) -> Array:
        return convolve(
            gradient,
            kernel[::-1, ::-1] if depthwise else gradients.turned(kernel),
            strides,
            gradients.turned_padding(padding, size, dilation),
            rhs_dilation=dilation,
            feature_group_count=feature_group_count,
            **options,
        )

    def trained(form: Callable[[Array, Array], Array], by_taps: Callable[[Array, Array], Array]) -> Any:
        """A form with the gradients of training; `by_taps` is differentiated where its own are not known."""
        if not gradients.is_training():
            return form

        def transposed(gradient: Array, kernel: Array) -> Array:
            (found,) = jax.linear_transpose(lambda x: by_taps(x, kernel), x)(gradient)
            return found

        def in_kernel(x: Array, gradient: Array) -> Array:
            if depthwise:
                return gradients.of_depthwise_kernel(x, gradient, taps, size)
            if can_be_tiled and x.shape[1] > max(_TILES):
                return tiled_kernel(x, gradient)
            return gradients.of_kernel(x, gradient, size, strides, padding, dilation)

        in_x = turned if tuple(strides) == (1, 1) else transposed
        return gradients.differentiated(form, in_x, in_kernel)

    on_cpu: Callable[[Array, Array], Array] = plain
    elsewhere: Callable[[Array, Array], Array] = plain
    if depthwise:
        on_cpu = _rounded(trained(shifted, shifted))
        elsewhere = plain if max(size) > 3 and dilation == (1, 1) else _rounded(shifted)
    elif size == (1, 1):
        on_cpu, elsewhere = _rounded(pointwise), pointwise
    elif feature_group_count == 1:
        form = plain
        spans = [each + sum(ends) for each, ends in zip(x.shape[1:3], padding, strict=True)]
        lengths = [(span - rows) // stride + 1 for span, rows, stride in zip(spans, size, strides, strict=True)]
        axis = int(size[1] >= size[0])  # 0 are rows, 1 columns
        neighbours = axis, _neighbours(lengths[axis], *kernel.shape[2:])
        if dilation == (1, 1) and neighbours[1] > 1:
            form = grouped
            elsewhere = _differentiated_as(plain, grouped)
        elif can_be_tiled:
            form = tiled
        quick = _in_pieces(form)
        on_cpu = _rounded(trained(quick, product) if gradients.is_training() else _differentiated_as(product, quick))
    # Chosen when it is lowered, not when it is traced: one export serves several platforms.
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=elsewhere)


def _rounded(form: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """What an accelerator's convolution makes of numbers of 16 bits: sums of 32 bits, and a result of 16."""

    def rounded(x: Array, kernel: Array) -> Array:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        return form(x.astype(wide), kernel.astype(wide)).astype(x.dtype)

    return rounded


def _in_pieces(form: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """The same, of as many images at a time as a cache holds: sums of rows and patches are read again while there."""

    def pieces(x: Array, kernel: Array) -> Array:
        images = x.shape[0]
        if not isinstance(images, int) or (total := x.size * x.dtype.itemsize) <= _LARGE:  # an export's is a symbol
            return form(x, kernel)
        most = max(1, _PIECE * images // total)
        size = next(each for each in range(most, 0, -1) if images % each == 0)
        if 2 * size < most:  # many pieces far smaller than the cache
            return form(x, kernel)
        parts = x.reshape(-1, size, *x.shape[1:])
        y = lax.map(lambda part: form(part, kernel), parts)
        return y.reshape(images, *y.shape[2:])

    return pieces


def _differentiated_as(
    bilinear: Callable[[Array, Array], Array], fast: Callable[[Array, Array], Array]
) -> Callable[[Array, Array], Array]:
    """A bilinear function that is computed by one form of it, and differentiated by another."""
    function = jax.custom_jvp(fast)

    @function.defjvp
    def derivative(values: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
        # The product rule. Reverse mode transposes what is done with the tangents: the quick form's own transpose, with
        # all its zeros and slices, is never computed.
        (x, kernel), (in_x, in_kernel) = values, tangents
        return function(x, kernel), bilinear(in_x, kernel) + bilinear(x, in_kernel)

    return function


def _tile(height: int) -> int:
    """Rows of the result that are computed together: the fewest products for this height."""
    return min(_TILES, key=lambda rows: (rows + 2) * -(-height // rows))


def _neighbours(length: int, inputs: int, outputs: int) -> int:
    """How many neighbouring output pixels, of so many along an axis, are computed as one."""
    count = 2 if inputs < _FEW else 1
    while count * outputs < _NARROW:
        count *= 2
    return math.gcd(count, length)


def _minimal_filtering(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Winograd's F(rows, 3): `rows` rows under a filter of three come from `rows + 2` products.

    Returns:
        The weights of the sums: of the rows of the input and of the filter that make each product's factors, and of the
        products that make each row of the result.
    """
    # Toom and Cook multiply polynomials by their values at so many points, infinity the last of them, and interpolate.
    # A filter is that transposed: the input is interpolated first, and evaluation becomes the sums of products.
    points = np.array(_POINTS[: rows + 1])
    others = [np.delete(points, k) for k in range(len(points))]
    inputs = np.array([np.append(np.poly(each)[::-1], 0) for each in others] + [np.poly(points)[::-1]])
    scales = np.array([np.prod(point - each) for point, each in zip(points, others, strict=True)])
    filters = np.vstack([np.vander(points, 3, increasing=True) / scales[:, None], [0, 0, 1]])
    results = np.hstack([np.vander(points, rows, increasing=True).T, np.eye(rows)[:, -1:]])
    return inputs, filters, results


def _sums(weights: np.ndarray, terms: Sequence[Array]) -> list[Array]:
    """Weighted sums of the terms, one for each row of weights; what has no weight is not read."""
    return [
        reduce(jnp.add, [weight * term for weight, term in zip(row, terms, strict=True) if weight])
        for row in weights.tolist()
    ]


def max_pool(
    x: Images, size: int, stride: int, padding: int = 0
) -> Float[Array, "images new_height new_width channels"]:
    """Max pool; without padding an odd last row or column is left out.

    Args:
        x: (images, height, width, channels).
        size: of the square window, in pixels.
        stride: in pixels.
        padding: pixels on each side, lower than any other.
    """
    return _pool(x, size, stride, padding, -jnp.inf, jnp.maximum)


def average_pool(
    x: Images, size: int, stride: int, padding: int = 0
) -> Float[Array, "images new_height new_width channels"]:
    """Average pool that leaves the padding out of the mean.

    Args:
        x: (images, height, width, channels).
        size: of the square window, in pixels.
        stride: in pixels.
        padding: pixels on each side.
    """

    def pixels(length: int) -> np.ndarray:
        inside = np.pad(np.ones(length, np.float32), padding)
        return np.lib.stride_tricks.sliding_window_view(inside, size)[::stride].sum(-1)

    rows, columns = map(pixels, x.shape[1:3])
    counts = (rows[:, None, None] * columns[:, None]).astype(x.dtype)  # whole numbers, exact in 16 bits too
    return _pool(x, size, stride, padding, 0.0, jnp.add) / counts


def features(x: Images, pool: int) -> Float[Array, "images features"]:
    """Average pool to `pool` x `pool` pixels of about equal windows, flattened; 1 is the global average pool.

    The features have 32 bits or more.

    Args:
        x: (images, height, width, channels).
        pool: windows along the height and along the width; they share a pixel where it does not divide the map.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def windows(length: int) -> np.ndarray:
        inside = [(start * length // pool, -(-(start + 1) * length // pool)) for start in range(pool)]
        rows = [[(low <= k < high) / (high - low) for k in range(length)] for low, high in inside]
        return np.array(rows, x.dtype)

    if pool == 1:
        return x.mean((1, 2))
    pooled = jnp.einsum("nhwc,ih,jw->nijc", x, windows(x.shape[1]), windows(x.shape[2]))
    return pooled.reshape(len(x), -1)


def _pool(
    x: Images, size: int, stride: int, padding: int, outside: float, combine: Callable[[Array, Array], Array]
) -> Array:
    x = _pad(x, (padding, padding), (padding, padding), outside)
    for axis in (1, 2):
        x = reduce(combine, _taps(x, axis, size, stride, 1))
    return x


# The operations of `lax`: those of `jnp` take several times as long to trace, and there are thousands.


def _pad(x: Images, rows: Sequence[int], columns: Sequence[int], outside: float = 0.0) -> Array:
    """Images with a border."""
    around = (0, 0), rows, columns, (0, 0)
    return lax.pad(x, np.asarray(outside, x.dtype), [(before, after, 0) for before, after in around])


def _taps(x: Images, axis: int, size: int, stride: int, dilation: int) -> list[Array]:
    """What each tap of a filter reads along an axis of padded images."""
    span = x.shape[axis] - dilation * (size - 1)
    return [lax.slice_in_dim(x, k * dilation, k * dilation + span, stride, axis) for k in range(size)]
