"""The time of a function on the device itself, without what it costs to start it from Python."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

Tree = Any

Timed = tuple[Callable[[Tree, Tree], Array], Tree, Tree]
"""A function of variables and data, and the shapes of both."""

_ROUNDS = 30
_SECONDS = 0.001  # of the longer loop: long beside the start of a call, short beside a scheduler's turns
_MOST = 20_000  # turns of a loop
_LONGER = 5


class Stopwatch:
    """Takes the time of a call, by the difference of two loops, one of which runs five times as long.

    Of all runs the shortest counts, since what disturbs a loop only adds to it.

    Every turn of the loop changes a value of each of its operands, by what the last turn has computed. So nothing can
    be computed once for all turns, neither from the data nor from the weights alone, and no turn starts before the last
    one ends. The change is made in place and costs less than a tenth of a microsecond.

    Args:
        function: of the variables and the data, to one array.
        variables: shapes of weights and statistics, of which random ones are made.
        data: shapes of the data.
        device: where it runs.
    """

    def __init__(
        self, function: Callable[[Tree, Tree], Array], variables: Tree, data: Tree, device: jax.Device
    ) -> None:
        def loop(turns: Array, operands: tuple[Tree, Tree, Array]) -> tuple[Tree, Tree, Array]:
            return lax.fori_loop(0, turns, lambda _, each: _turn(function, *each), operands)

        result = jax.eval_shape(function, variables, data)
        self._operands = _random_values((variables, data, result), device)
        self._loop = jax.jit(loop)
        self._take(1)  # compiles
        once = min(self._take(16) for _ in range(3)) / 16
        short = max(2, min(_MOST, int(_SECONDS / once)) // _LONGER)
        self._least = dict.fromkeys((short, _LONGER * short), math.inf)

    def run(self) -> None:
        """Run both loops some times."""
        for _ in range(_ROUNDS):
            for turns, least in self._least.items():
                self._least[turns] = min(least, self._take(turns))

    @property
    def seconds(self) -> float:
        """Of a call, as far as is known."""
        (short, least), (long, most) = self._least.items()
        return max(0.0, most - least) / (long - short)

    def _take(self, turns: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(self._loop(turns, self._operands))
        return time.perf_counter() - start


def call_seconds(functions: Sequence[Timed], device: jax.Device) -> list[float]:
    """Seconds of a call of each compiled function, its start included: the shortest of 900, in 30 rounds over all.

    Args:
        functions: each with the shapes of its variables and its data, of which random ones are made.
        device: where they run.
    """
    operands = [_random_values(shapes, device) for _, *shapes in functions]
    compiled = [jax.jit(each[0]).lower(*given).compile() for each, given in zip(functions, operands, strict=True)]
    least = [math.inf] * len(functions)
    for _ in range(_ROUNDS):
        for number, (call, given) in enumerate(zip(compiled, operands, strict=True)):
            for _ in range(_ROUNDS):
                start = time.perf_counter()
                jax.block_until_ready(call(*given))
                least[number] = min(least[number], time.perf_counter() - start)
    return least


def _random_values(shapes: Tree, device: jax.Device) -> Tree:
    random = np.random.default_rng(0)

    def values(shape: jax.ShapeDtypeStruct) -> Array:
        # Small and positive: variances must be, and denormal numbers would take longer.
        return jax.device_put(random.uniform(0.05, 0.15, shape.shape).astype(shape.dtype), device)

    return jax.tree.map(values, shapes)


def _turn(
    function: Callable[[Tree, Tree], Array], variables: Tree, data: Tree, last: Array
) -> tuple[Tree, Tree, Array]:
    """Call the function, and change the first value of each operand; `last` is carried so that all of it is made."""
    result = function(variables, data)
    value = 0.1 + 0.05 * jnp.clip(result[(0,) * result.ndim], -1, 1)

    def changed(x: Array) -> Array:
        first = jnp.broadcast_to(value, (1,) * x.ndim).astype(x.dtype)
        return lax.dynamic_update_slice(x, first, (0,) * x.ndim)

    return *jax.tree.map(changed, (variables, data)), result
