"""The rows of each genome of a population, and a row as a function of its own: what costs are taken from.

A row that nothing reads on the way to the output is no row of its genome here: a compiler leaves it out as well.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from rwejax.networks.modules import Images, Norm, Sources
from rwejax.networks.program import ABSENT, Network, Program

IMAGE = -1
"""Stands among the sources of a row for the image."""


class GenomeRow(NamedTuple):
    """One operation.

    Attributes:
        group: position of its group in the network.
        kind: position of its kind in the group.
        sources: numbers of the rows that it reads, or `IMAGE`; one that it reads twice is there twice.
    """

    group: int
    kind: int
    sources: tuple[int, ...]


class GenomeRows(NamedTuple):
    """The rows of a population.

    Attributes:
        distinct: rows that genomes share are there once; each comes after those that it reads.
        genomes: for each genome the numbers of its rows, in the order in which its plain network runs them; none where
            no path leads through it.
    """

    distinct: list[GenomeRow]
    genomes: list[list[int]]


def genome_rows(network: Network, program: Program, features: Int[np.ndarray, " n"]) -> GenomeRows:
    """Read the rows of each genome off the program of a population.

    Args:
        network: the groups.
        program: of chunks of one row, in which every map keeps a buffer slot of its own.
        features: each genome's row of features, as `rwejax.networks.lower` returns them.
    """
    distinct: list[GenomeRow] = []
    numbers: dict[str, dict[int, int]] = {name: {} for name in network.buffers}
    numbers["images"][0] = IMAGE
    for position, group in enumerate(network.groups):
        rows = program.rows[group.name]
        count = int(rows.chunks)
        order = np.argsort(rows.buffer_slot[:count])  # in which the rows of a genome depend on each other
        begins = np.asarray(rows.begin)[order]
        columns = rows.kind[order], rows.fan_in[order], rows.sources[begins], rows.buffer_slot[order]
        read, written = numbers[group.source], numbers[group.target]
        for kind, fan_in, sources, slot in zip(*(np.asarray(column).tolist() for column in columns), strict=True):
            written[slot] = len(distinct)
            distinct.append(GenomeRow(position, kind, tuple(read[source] for source in sources[:fan_in])))
    outputs = [None if row == ABSENT else numbers["features"][row] for row in features.tolist()]
    return GenomeRows(distinct, [_leading_to(distinct, output) for output in outputs])


def _leading_to(rows: list[GenomeRow], output: int | None) -> list[int]:
    """The numbers of the rows on which an output depends, its own among them, in ascending order."""
    if output is None:
        return []
    found, pending = {output}, [output]
    while pending:
        for source in rows[pending.pop()].sources:
            if source != IMAGE and source not in found:
                found.add(source)
                pending.append(source)
    return sorted(found)


class RowFunction(NamedTuple):
    """A row by itself, normalised by running statistics.

    Attributes:
        apply: a function of parameters and statistics, and of the list of source maps, to the row's map.
        variables: the shapes of the parameters and statistics.
        sources: the shapes of the source maps.
    """

    apply: Callable[[Any, list[Images]], Array]
    variables: Any
    sources: list[jax.ShapeDtypeStruct]


@functools.cache
def row_function(module: nn.Module, shape: tuple[int, ...], fan_in: int, images: int = 1) -> RowFunction:
    """A row as `PlainNetwork` runs it at inference.

    Args:
        module: of the row's kind.
        shape: of each source, without the images.
        fan_in: number of its sources.
        images: images of a batch.
    """
    sources = [jax.ShapeDtypeStruct((images, *shape), jnp.float32)] * fan_in

    def read(maps: list[Images]) -> Sources:
        return Sources(maps.__getitem__, np.arange(fan_in), fan_in)

    def init(maps: list[Images]) -> Any:
        return module.init(jax.random.key(0), read(maps), Norm.RUNNING)

    variables = jax.eval_shape(init, sources)
    variables = {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}

    def apply(values: Any, maps: list[Images]) -> Any:
        return module.apply(values, read(maps), Norm.RUNNING)

    return RowFunction(apply, variables, sources)
