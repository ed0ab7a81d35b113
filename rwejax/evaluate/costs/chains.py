"""What is timed for latency: rows, each alone, pairs of rows of which a compiler makes one loop, and whole networks.

A pool or a sum is a loop that XLA fuses into what reads it. Where that reads each value several times, as a pool or a
depthwise convolution does, XLA's CPU backend computes each value several times, and two pools in a row take up to ten
times as long as one and one. So a row's time depends on such a producer, and the two are timed together.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from rwejax import networks
from rwejax.evaluate.costs.liveness import Liveness, liveness
from rwejax.networks import Network
from rwejax.networks.genome_rows import IMAGE, GenomeRow, RowFunction, row_function
from rwejax.spaces import Space

Place = tuple[int, int, int]
"""Positions of a row's group and kind, and its fan-in; rows of one place take the same time."""

Chain = tuple[Place, ...]
"""One row, or a producer and the row that reads it; the empty one is the head."""


def place_of(row: GenomeRow) -> Place:
    """Where a row stands."""
    return row.group, row.kind, len(row.sources)


def name_of(network: Network, chain: Chain) -> str:
    """The key of a chain in a table of latencies.

    Args:
        network: the groups, which have the names of groups and kinds.
        chain: one place, two places, or none.

    Returns:
        `group/kind/fan_in`, of a pair `group/kind/fan_in > group/kind/fan_in`, of the empty chain `head`.
    """
    groups = [(network.groups[group], kind, fan_in) for group, kind, fan_in in chain]
    return " > ".join(f"{group.name}/{group.kinds[kind][0]}/{fan_in}" for group, kind, fan_in in groups) or "head"


def liveness_of(network: Network, place: Place) -> Liveness:
    """What a row needs beside its sources, in bytes for one image.

    Args:
        network: the groups, and the shapes of their maps.
        place: where the row stands.
    """
    return _liveness(*_described(network, place))


@functools.cache
def _liveness(module: nn.Module, shape: tuple[int, ...], fan_in: int) -> Liveness:
    return liveness(*row_function(module, shape, fan_in))


def _described(network: Network, place: Place) -> tuple[nn.Module, tuple[int, ...], int]:
    """A place without its network: equal ones of other groups, or of other networks, need not be traced again."""
    group = network.groups[place[0]]
    return group.kinds[place[1]][1].module, network.buffers[group.source], place[2]


def producers(network: Network, distinct: list[GenomeRow], number: int, fused: set[Place]) -> list[Place]:
    """The places of the rows that are fused into a row, those among them that reach it through sums.

    Args:
        network: the groups.
        distinct: the rows of a population.
        number: of the row.
        fused: the places whose rows are one loop.
    """
    reads = network.groups[distinct[number].group].source
    found: list[Place] = []
    seen: set[int] = {IMAGE}
    pending = list(distinct[number].sources)
    while pending:
        source = pending.pop(0)
        if source in seen or (place := place_of(distinct[source])) not in fused:
            continue
        seen.add(source)
        if network.groups[place[0]].target == reads:
            found.append(place)
        if place[2] > 1:
            pending += distinct[source].sources
    return sorted(found)


def chain_function(network: Network, classes: int, chain: Chain, batch: int) -> RowFunction:
    """A chain as one function; a producer's map is the first source of its reader.

    Args:
        network: the groups.
        classes: of the head.
        chain: what stands in a row.
        batch: images.
    """
    if not chain:
        return _head(classes, jax.ShapeDtypeStruct((batch, *network.buffers["features"]), jnp.float32))
    *before, last = (row_function(*_described(network, place), batch) for place in chain)
    if not before:
        return last
    first = before[0]
    count = len(first.sources)

    def apply(variables: Any, maps: list[Any]) -> jax.Array:
        return last.apply(variables[1], [first.apply(variables[0], maps[:count]), *maps[count:]])

    return RowFunction(apply, (first.variables, last.variables), [*first.sources, *last.sources[1:]])


def whole_function(space: Space, genome: Int[np.ndarray, " genes"], batch: int) -> RowFunction:
    """A network as one function.

    Args:
        space: the space of the genome.
        genome: of the network.
        batch: images.
    """
    module = networks.build(space, genome)
    images = jax.ShapeDtypeStruct((batch, *space.input_shape), jnp.float32)

    def apply(variables: Any, maps: list[Any]) -> Any:
        return module.apply(variables, maps[0])

    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    # Its other collections are what gradients are taken of, and would be added to every map.
    return RowFunction(apply, {name: variables[name] for name in ("params", "batch_stats")}, [images])


def _head(classes: int, features: jax.ShapeDtypeStruct) -> RowFunction:
    head = nn.Dense(classes)

    def apply(variables: Any, maps: list[Any]) -> Any:
        return head.apply(variables, maps[0])

    return RowFunction(apply, jax.eval_shape(head.init, jax.random.key(0), features), [features])
