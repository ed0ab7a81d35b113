"""What a CPU with 16-bit instructions gains from bfloat16 in a 3x3 convolution: its forms, timed against float32.

Maps of a batch fill 2 MiB in float32, as in a search. In bfloat16 the maps have 16 bits, and so have both factors of
every product, whose sums have 32.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from parts.command import Result, main
from parts.report import header, spread

from rwejax.errors import InputError
from rwejax.networks.convolutions import convolve

BYTES = 2**21


@dataclass(frozen=True)
class Config:
    """Time one convolution in every form; run it on one core."""

    heights: tuple[int, ...] = (32, 16, 32, 16, 8)
    """Height and width of each map, in pixels."""
    channels: tuple[int, ...] = (16, 16, 32, 32, 64)
    """Channels of each map, before and after the convolution."""
    repetitions: int = 15
    """Times that each form is timed, in turns."""
    seed: int = 0
    """Draws maps and kernels."""
    output: Path | None = None
    """JSON file for the results."""


def ours(x: Array, kernel: Array) -> Array:
    """As the executor computes it, with the rounding of an accelerator where maps have 16 bits."""
    axes = "NHWC", "HWIO", "NHWC"
    return convolve(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes)


def patches(x: Array, kernel: Array) -> Array:
    """One product, with all nine pixels side by side."""
    return multiply(jnp.concatenate([shift(row, 2) for row in shifts(pad(x), 1)], -1), kernel)


def rows(x: Array, kernel: Array) -> Array:
    """Three products, one for each row of the kernel, with three pixels side by side."""
    pixels = shifts(shift(pad(x), 2), 1)
    return reduce(jnp.add, [multiply(row, weights) for row, weights in zip(pixels, kernel, strict=True)])


def winograd(x: Array, kernel: Array) -> Array:
    """Two rows of the result from four products of sums of rows, F(2, 3), with three pixels side by side."""
    above, first, second, below = (pad(x)[:, k : k + x.shape[1] : 2] for k in range(4))
    top, middle, bottom = kernel.astype(jnp.float32)
    one, two, three, four = (
        multiply(shift(row, 2), weights.astype(x.dtype))
        for row, weights in (
            (above - second, top),
            (first + second, (top + middle + bottom) / 2),
            (second - first, (top - middle + bottom) / 2),
            (first - below, bottom),
        )
    )
    return jnp.stack([one + two + three, two - three - four], 2).reshape(*x.shape[:3], -1)


def multiply(x: Array, kernel: Array) -> Array:
    """A product whose sums have 32 bits."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    return lax.dot_general(x, flat, (((3,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def pad(x: Array) -> Array:
    """With a border of one pixel."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def shifts(x: Array, axis: int) -> list[Array]:
    """What each of three taps reads."""
    return [lax.slice_in_dim(x, k, x.shape[axis] - 2 + k, axis=axis) for k in range(3)]


def shift(x: Array, axis: int) -> Array:
    """The same side by side, as channels."""
    return jnp.concatenate(shifts(x, axis), -1)


FORMS: dict[str, tuple[Callable[[Array, Array], Array], Any]] = {
    "float32": (ours, jnp.float32),
    "bfloat16, rounded": (ours, jnp.bfloat16),
    "bfloat16, patches": (patches, jnp.bfloat16),
    "bfloat16, rows": (rows, jnp.bfloat16),
    "bfloat16, winograd": (winograd, jnp.bfloat16),
}


def measure(config: Config) -> Result:
    """Time every form on every map.

    Raises:
        InputError: the setting cannot be timed.
    """
    if config.repetitions < 1 or len(config.heights) != len(config.channels):
        raise InputError("heights and channels come in pairs, and repetitions are a count: give 1 or more")
    setting = {name: value for name, value in asdict(config).items() if name != "output"}
    maps = {
        f"{height}x{height}x{channels}": measure_map(config, height, channels)
        for height, channels in zip(config.heights, config.channels, strict=True)
    }
    return {**header(setting), "maps": maps}


def measure_map(config: Config, height: int, channels: int) -> dict[str, Any]:
    """For each form milliseconds, how many times as fast as float32 it is, and its largest difference from it."""
    random = np.random.default_rng(config.seed)
    x = random.normal(size=(BYTES // (4 * height**2 * channels), height, height, channels)).astype(np.float32)
    kernel = random.normal(scale=(9 * channels) ** -0.5, size=(3, 3, channels, channels)).astype(np.float32)
    calls, seconds, results = {}, {name: [] for name in FORMS}, {}
    for name, (form, dtype) in FORMS.items():
        call = jax.jit(lambda x, kernel, form=form: form(x, kernel).astype(x.dtype))
        calls[name] = call, jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
        results[name] = np.asarray(call(*calls[name][1:]), np.float32)  # compiles
    for _ in range(config.repetitions):
        for name, (call, *operands) in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call(*operands))
            seconds[name].append(time.perf_counter() - start)
    gflop = 2e-9 * x.size * 9 * channels
    exact = results["float32"]
    return {
        name: {
            "milliseconds": spread(1e3 * each for each in seconds[name]),
            "gflops": spread(gflop / each for each in seconds[name]),
            "speedup": spread(one / other for one, other in zip(seconds["float32"], seconds[name], strict=True)),
            "largest_difference": float(np.abs(results[name] - exact).max()),
        }
        for name in FORMS
    }


if __name__ == "__main__":
    sys.exit(main(Config, measure))
