"""HOW genomes run: a population becomes a program, and one compiled executor runs any program of a space."""

from types import ModuleType

import numpy as np
from jaxtyping import Int

from rwejax.networks import cells, macro, nasbench201, nasbench_macro
from rwejax.networks.executor import Maps, initialise, make_features, map_shapes
from rwejax.networks.program import ABSENT, Builder, CapacityError, Network, Program
from rwejax.networks.single import NOTHING, Observer, SingleNetwork, Weights
from rwejax.networks.slots import IMAGES_AXIS, Norm
from rwejax.spaces import Space

_LOWERINGS: dict[str, ModuleType] = {
    "macro": macro,
    "micro": cells,
    "darts": cells,
    "nasbench201": nasbench201,
    "nasbench_macro": nasbench_macro,
}

__all__ = [
    "ABSENT",
    "IMAGES_AXIS",
    "NOTHING",
    "CapacityError",
    "Maps",
    "Network",
    "Norm",
    "Observer",
    "Program",
    "SingleNetwork",
    "Weights",
    "empty_program",
    "initialise",
    "lower",
    "make_features",
    "map_shapes",
    "network",
]


def network(space: Space, pool: int = 1) -> Network:
    """The groups and buffers of a space.

    Args:
        space: the space.
        pool: the last map becomes `pool` x `pool` features a channel; 1 is the global average pool.
    """
    return _LOWERINGS[space.name].network(space, pool)


def lower(
    space: Space, network: Network, genomes: Int[np.ndarray, "n genes"], capacity: int, chunk: int
) -> tuple[Program, Int[np.ndarray, " n"]]:
    """Lower genomes to a program.

    Args:
        space: the space of the genomes.
        network: `network(space)`.
        genomes: a population; one of no genomes becomes `empty_program`.
        capacity: the number of genomes whose rows must fit; every program of a capacity has the same shapes.
        chunk: rows that the executor computes at once.

    Returns:
        The program, and for each genome its row of features; genomes that decode to the same network share one, and
        `ABSENT` stands for a network through which no path leads.

    Raises:
        CapacityError: the rows do not fit.
    """
    builder = Builder(network, capacity, chunk)
    rows = _LOWERINGS[space.name].add_rows(space, space.canonical(genomes), builder)
    return builder.build(), rows


def empty_program(network: Network, capacity: int, chunk: int) -> Program:
    """A program of no rows: the shapes that every program of that capacity has."""
    return Builder(network, capacity, chunk).build()
