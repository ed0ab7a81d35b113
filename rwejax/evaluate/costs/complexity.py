"""The size of a network as its space counts it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from rwejax.genomes import check_genomes
from rwejax.spaces import Space

Cost = Callable[[Int[np.ndarray, "n genes"]], Float[np.ndarray, " n"]]


def macs(space: Space) -> Cost:
    """Multiply-adds for one image."""
    return lambda genomes: space.macs(space.canonical(check_genomes(space, genomes))).astype(float)


def params(space: Space) -> Cost:
    """Parameters."""
    return lambda genomes: space.params(space.canonical(check_genomes(space, genomes))).astype(float)
