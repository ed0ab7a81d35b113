"""The time of a function on the device itself, without what it costs to start it from Python."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

Tree = Any

_ROUNDS = 25
_SECONDS = 0.004  # of the longer loop: long beside the start of a call, short beside a scheduler's turns
_MOST = 20_000  # turns of a loop


def seconds(function: Callable[[Tree, Tree], Array], variables: Tree, data: Tree, device: jax.Device) -> float:
    """The time of a call, by the difference of two loops, one of which runs five times as long.

    Of several repetitions the shortest counts, since what disturbs a loop only adds to it.

    Every turn of the loop changes a value of each of its operands, by what the last turn has computed. So nothing can
    be computed once for all turns, neither from the data nor from the weights alone, and no turn starts before the last
    one ends. The change is made in place and costs less than a tenth of a microsecond.

    Args:
        function: of the variables and the data, to one array.
        variables: shapes of weights and statistics, of which random ones are made.
        data: shapes of the data.
        device: where it runs.
    """
    random = np.random.default_rng(0)

    def values(shape: jax.ShapeDtypeStruct) -> Array:
        # Small and positive: variances must be, and denormal numbers would take longer.
        return jax.device_put(random.uniform(0.05, 0.15, shape.shape).astype(shape.dtype), device)

    result = jax.eval_shape(function, variables, data)
    operands = jax.tree.map(values, (variables, data, result))
    loop = jax.jit(lambda turns, operands: lax.fori_loop(0, turns, lambda _, each: _turn(function, *each), operands))

    def take(turns: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(loop(turns, operands))
        return time.perf_counter() - start

    take(1)  # compiles
    short = max(2, min(_MOST, int(_SECONDS / max(take(16) / 16, 1e-9))) // 5)
    least = [min(take(turns) for _ in range(_ROUNDS)) for turns in (short, 5 * short)]
    return max(0.0, least[1] - least[0]) / (4 * short)


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
