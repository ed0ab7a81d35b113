"""Costs: what it takes to run a network, from its genome and without an image; lower is always better."""

import inspect
from collections.abc import Callable
from typing import Any

from rwejax.errors import InputError
from rwejax.evaluate.costs import complexity
from rwejax.evaluate.costs.complexity import Cost
from rwejax.evaluate.costs.latency import Latency
from rwejax.evaluate.costs.memory import Memory
from rwejax.spaces import Space

_COSTS: dict[str, Callable[..., Cost]] = {
    "macs": complexity.macs,
    "params": complexity.params,
    "memory": Memory,
    "latency": Latency,
}

__all__ = ["Cost", "Latency", "Memory", "get", "names"]


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_COSTS)


def get(name: str, space: Space, **options: Any) -> Cost:
    """The cost of that name.

    Args:
        name: one of `names()`.
        space: the search space.
        options: of `latency`, `batch`, images that go through a network together, and `table` and `slowdown`, measured
            before.

    Returns:
        A function of canonical genomes to float64 values in base units: multiply-adds, parameters, bytes of
        activations, milliseconds.

    Raises:
        InputError: no cost has that name, or it has no such option, or an option is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench_macro")
        >>> genomes = space.from_string("12222120")[None]
        >>> get("macs", space)(genomes).tolist(), get("memory", space)(genomes).tolist()
        ([81766912.0], [851968.0])
    """
    if name not in _COSTS:
        raise InputError(f"cost {name!r} is unknown: choose one of {', '.join(names())}")
    known = [each for each in inspect.signature(_COSTS[name]).parameters if each != "space"]
    for option in options:
        if option not in known:
            raise InputError(f"cost {name!r} has no option {option!r}: it takes {', '.join(known) or 'none'}")
    return _COSTS[name](space, **options)
