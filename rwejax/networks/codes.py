"""Which ReLUs of a network are on for which images, in bits.

Of each ReLU a sample of units is kept, 32 to a word. In how many of them two images differ is then the number of ones
in a few exclusive ors, exact, and takes a twentieth of the time of a product of signs; and a row keeps 32 bytes an
image where a matrix of its own, images x images, would take forty times as much.
"""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, UInt32

from rwejax.networks.builder import Builder
from rwejax.networks.kernels import relu_inputs
from rwejax.networks.modules import Images
from rwejax.networks.program import ABSENT, CapacityError, Codes, Group, Kind, Network, Table

UNITS = 256
"""The most units of a ReLU that are looked at."""

WORDS = UNITS // 32


class ReLU(NamedTuple):
    """What ReLUs of one size have in common.

    Attributes:
        height: of the map.
        units: of one image, all of them.
    """

    height: int
    units: int

    @property
    def sampled(self) -> int:
        """Units of one image that are looked at."""
        return min(UNITS, self.units)


@functools.cache
def relus(network: Network) -> tuple[ReLU, ...]:
    """The sizes of ReLU in a network, in ascending order.

    Args:
        network: the groups and buffers of the space.
    """
    kinds = [(group, kind) for group in network.groups for _, kind in group.kinds]
    return tuple(sorted({size for group, kind in kinds for size, _ in relus_of(network, group, kind)}))


@functools.cache
def relus_of(network: Network, group: Group, kind: Kind) -> list[tuple[ReLU, int | None]]:
    """The ReLUs of a kind, and of which source each is, if of one.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group.
        kind: the operation.
    """
    found = relu_inputs(network, group, kind)
    return [(ReLU(each.x.shape[1], int(np.prod(each.x.shape[1:]))), each.source) for each in found]


def relus_by_kind(network: Network, group: Group) -> Int[np.ndarray, " kinds"]:
    """How many ReLUs a row of each kind of a group has.

    Args:
        network: the groups and buffers of the space.
        group: one of them.
    """
    return np.array([len(relus_of(network, group, kind)) for _, kind in group.kinds], np.int32)


def most_relus(network: Network, group: Group) -> int:
    """The most ReLUs that a row of a group has.

    Args:
        network: the groups and buffers of the space.
        group: one of them.
    """
    return int(relus_by_kind(network, group).max())


def pack(x: Images) -> UInt32[Array, "words images"]:
    """Which of the sampled units are positive; the sample depends on the size of the map alone.

    Args:
        x: what a ReLU is given.
    """
    images, all_units = len(x), int(np.prod(x.shape[1:]))
    units = np.random.default_rng(all_units).choice(all_units, min(UNITS, all_units), replace=False)
    on = x.reshape(images, -1)[:, np.sort(units)] > 0
    on = jnp.pad(on, [(0, 0), (0, UNITS - on.shape[1])]).reshape(images, WORDS, 32)
    return (on.astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)).sum(-1, dtype=jnp.uint32).T


def disagreements(
    codes: UInt32[Array, "relus words images"], chosen: Int[Array, " most"], count: Int[Array, ""], at_once: int = 1
) -> Array:
    """In how many of the sampled units of some ReLUs two images differ.

    Args:
        codes: of all ReLUs of a population.
        chosen: which of them; the first `count` are looked at.
        count: how many.
        at_once: so many in one turn of the loop.

    Returns:
        (images, images) integers.
    """

    def add(turn: Array, total: Array) -> Array:
        k = turn * at_once + jnp.arange(at_once)
        some = jnp.where((k < count)[:, None, None], codes[chosen[k]], 0)  # in zeros, no two images differ
        for word in some.reshape(-1, images):
            total += lax.population_count(word[:, None] ^ word).astype(total.dtype)
        return total

    images = codes.shape[-1]
    return lax.fori_loop(0, -(-count // at_once), add, jnp.zeros((images, images), jnp.int32))


def codes_of_rows(network: Network, builder: Builder) -> int:
    """The places for codes that the rows of a population need.

    Args:
        network: the groups and buffers of the space.
        builder: has all rows.
    """
    total = 0
    for group in network.groups:
        total += int(relus_by_kind(network, group)[builder.schedules[group.name].rows.kind].sum())
    return total


def find_codes(
    network: Network, builder: Builder, features: Int[np.ndarray, " n"], genomes: int, largest_chunk: int, size: float
) -> Codes:
    """Give the rows of a population places for their codes, and find those of each network.

    Rows get places in the order in which they run. So a row that runs alone may write behind its own codes, as one of
    fewer ReLUs than the most of its group does: what comes there is written later.

    Args:
        network: the groups, with a buffer of codes.
        builder: has all rows.
        features: of each genome its row of features.
        genomes: the capacity of the program.
        largest_chunk: the most rows that the executor computes at once.
        size: places that there are.

    Raises:
        CapacityError: there are fewer than needed.
    """
    groups = {group.name: group for group in network.groups}
    begin: dict[str, Table] = {}
    count = 0
    places = {group.target: np.zeros((3, 0), int) for group in network.groups}  # of each row: place, kind, fan-in
    for name, schedule in builder.schedules.items():
        group, rows = groups[name], schedule.rows
        each = relus_by_kind(network, group)[rows.kind]
        first = count + np.cumsum(each) - each
        count += int(each.sum())
        if most_relus(network, group):
            table = np.full(group.rows * genomes + largest_chunk - 1, 0 if math.isinf(size) else int(size), np.int32)
            table[: len(first)] = first
            begin[name] = table
        known = places[group.target]
        found = np.zeros((3, max([known.shape[1], *(rows.number + 1)])), int)
        found[:, : known.shape[1]] = known
        found[:, rows.number] = first, rows.kind, rows.fan_in
        places[group.target] = found
    if count > size:
        raise CapacityError("codes")
    return Codes(begin, *_of_features(network, builder, features, genomes, places))


def _of_features(
    network: Network,
    builder: Builder,
    features: Int[np.ndarray, " n"],
    genomes: int,
    places: dict[str, Int[np.ndarray, "3 rows"]],
) -> tuple[Int[np.ndarray, "genomes sizes most"], Int[np.ndarray, "genomes sizes"]]:
    sizes = relus(network)
    groups = {group.name: group for group in network.groups}
    # Genomes that decode to the same network share a row of features: the first stands for all.
    distinct, owners = np.unique(features, return_index=True)
    row_of = np.full(len(features), ABSENT)
    row_of[owners[distinct != ABSENT]] = distinct[distinct != ABSENT]
    found = [np.zeros((3, 0), int)]  # row of features, size, place
    for name, rows in builder.of_genomes:
        group = groups[name]
        there = np.flatnonzero((rows != ABSENT) & (row_of != ABSENT))
        first, kinds, fan_in = places[group.target][:, rows[there]]
        for number, (_, kind) in enumerate(group.kinds):
            for k, (size, source) in enumerate(relus_of(network, group, kind)):
                counts = (kinds == number) & (source is None or fan_in > source)
                column = row_of[there][counts], np.full(counts.sum(), sizes.index(size)), first[counts] + k
                found.append(np.stack(column))
    row, size, place = np.concatenate(found, 1)
    order = np.lexsort((place, size, row))
    row, size, place = row[order], size[order], place[order]
    table = np.zeros((genomes, len(sizes), _most(network)), np.int32)
    counts = np.zeros((genomes, len(sizes)), np.int32)
    np.add.at(counts, (row, size), 1)
    starts = np.cumsum(counts.ravel()) - counts.ravel()
    table[row, size, np.arange(len(row)) - starts[row * len(sizes) + size]] = place
    return table, counts


@functools.cache
def _most(network: Network) -> int:
    """The most ReLUs of one size that a genome has."""
    most = dict.fromkeys(relus(network), 0)
    for group in network.groups:
        kinds = [[size for size, _ in relus_of(network, group, kind)] for _, kind in group.kinds]
        for size in most:
            most[size] += group.rows * max(each.count(size) for each in kinds)
    return max(most.values())
