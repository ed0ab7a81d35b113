"""What networks cost, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rwejax.errors import InputError
from rwejax.spaces import Space

Cost = Callable[[Int[np.ndarray, "n genes"]], Float[np.ndarray, " n"]]

_COSTS: dict[str, Callable[[Space], Cost]] = {
    "macs": lambda space: lambda genomes: space.macs(genomes).astype(float),
    "params": lambda space: lambda genomes: space.params(genomes).astype(float),
}


def get(name: str, space: Space, **options: Any) -> Cost:
    """The cost of that name.

    Args:
        name: macs or params.
        space: the search space.
        options: of the cost.

    Raises:
        InputError: no cost has that name.
    """
    if name not in _COSTS:
        raise InputError(f"cost {name!r} is unknown: choose one of {', '.join(_COSTS)}")
    return _COSTS[name](space, **options)
