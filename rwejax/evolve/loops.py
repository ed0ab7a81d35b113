"""Loops over rows where they are quick: XLA makes one kernel of a small loop on CPUs, whose steps take nanoseconds.

On an accelerator a step takes microseconds, and on a CPU too once `jax.vmap` has made it large.
"""

from collections.abc import Callable
from typing import Any

import jax


def by_loop(loop: Callable[..., Any], default: Callable[..., Any]) -> Callable[..., Any]:
    """Of two functions that give the same, calls `loop` on CPUs, and `default` elsewhere and under `jax.vmap`.

    Args:
        loop: goes over the rows one after another.
        default: takes all rows at once.
    """

    @jax.custom_batching.custom_vmap
    def call(*arguments: Any) -> Any:
        return jax.lax.platform_dependent(*arguments, cpu=loop, default=default)

    @call.def_vmap
    def call_mapped(size: int, mapped: Any, *arguments: Any) -> tuple[Any, Any]:
        del size
        axes = jax.tree.map(lambda each: 0 if each else None, tuple(mapped))
        results = jax.vmap(default, in_axes=axes)(*arguments)
        return results, jax.tree.map(lambda _: True, results)

    return call
