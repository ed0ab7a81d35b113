"""The NAS-Bench-201 space on the executor: operations, groups, and the rows of genomes."""

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, Int

from rwejax.networks import plain_operations as plain
from rwejax.networks.builder import Builder
from rwejax.networks.convolutions import average_pool, features
from rwejax.networks.forms import SHARED, Writer
from rwejax.networks.forms import average_pool as write_average_pool
from rwejax.networks.lowering import Lowering
from rwejax.networks.modules import Images, Norm, Normalise, Sources, Stem, Sum, convolution, relu
from rwejax.networks.program import ABSENT, Group, Kind, Network
from rwejax.spaces import NASBench201
from rwejax.spaces.nasbench201 import CONV_1X1, SKIP

_EDGES = (range(0, 1), range(1, 3), range(3, 6))  # genes of the edges into each node, from node 0 on


class Convolution(nn.Module):
    """ReLU, convolution, normalisation."""

    channels: int
    size: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        return Normalise()(convolution(self.channels, self.size)(relu(self, sources[0])), norm)


class Average(nn.Module):
    """Average pool 3x3."""

    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Pool the source."""
        return average_pool(sources[0], 3, 1, 1)


class Residual(nn.Module):
    """Between stages: twice ReLU, convolution 3x3, normalisation, beside a 2x2 average pool and a bare 1x1."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Halve the map of the source."""
        x = sources[0]
        shortcut = convolution(self.channels)(average_pool(x, 2, 2))
        for stride in (2, 1):
            x = Normalise()(convolution(self.channels, 3, stride)(relu(self, x)), norm)
        return x + shortcut


class Output(nn.Module):
    """Normalisation, ReLU, `pool` x `pool` features a channel."""

    pool: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Float[Array, "images channels"]:
        """Pool the source."""
        return features(relu(self, Normalise()(sources[0], norm)), self.pool)


def network(space: NASBench201, pool: int) -> Network:
    """The stem or the residual block into each stage, the edges and nodes of its cells, and the output.

    Args:
        space: the NAS-Bench-201 space.
        pool: the last map becomes `pool` x `pool` features a channel.
    """
    buffers: dict[str, tuple[int, ...]] = {"images": space.input_shape}
    groups, source = [], "images"
    for s, (height, width, channels) in enumerate(space.stages):
        stage, slots = f"stage{s + 1}", space.cells * _EDGES[-1].stop
        buffers |= {stage: (height, width, channels)}
        enter = ("stem", Kind(Stem(channels))) if s == 0 else ("residual", Kind(Residual(channels)))
        kinds = (
            ("nor_conv_1x1", Kind(Convolution(channels, 1), slots)),
            ("nor_conv_3x3", Kind(Convolution(channels, 3), slots)),
            ("avg_pool_3x3", Kind(Average())),
            ("sum", Kind(Sum())),
        )
        rows = space.cells * (_EDGES[-1].stop + len(_EDGES))
        groups += [
            Group(f"enter{s + 1}", (enter,), 1, 1, source, stage),
            Group(stage, kinds, rows, 3, stage, stage),
        ]
        source = stage
    buffers |= {"features": (pool**2 * space.stages[-1][2],)}
    groups.append(Group("output", (("output", Kind(Output(pool))),), 1, 1, source, "features"))
    return Network(tuple(groups), buffers)


def add_rows(space: NASBench201, genomes: Int[np.ndarray, "n genes"], builder: Builder) -> Int[np.ndarray, " n"]:
    """Add the rows of genomes and return each genome's row of features; `ABSENT` where no path reaches the output.

    Args:
        space: the space of the genomes.
        genomes: (n, genes) int32; canonical forms have the most rows in common.
        builder: collects the rows.
    """
    x = np.zeros(len(genomes), int)
    for s in range(len(space.stages)):
        stage = f"stage{s + 1}"
        x = builder.add(f"enter{s + 1}", "residual" if s else "stem", 0, x)
        for cell in range(space.cells):
            nodes = [x]
            for edges in _EDGES:
                terms = []
                for edge, source in zip(edges, nodes, strict=True):
                    op = genomes[:, edge]
                    row = np.where(op >= CONV_1X1, source, ABSENT)
                    row = builder.add(stage, np.maximum(op - CONV_1X1, 0), cell * _EDGES[-1].stop + edge, row)
                    terms.append(np.where(op == SKIP, source, row))
                nodes.append(builder.add_sum(stage, *terms))
            x = nodes[-1]
    return builder.add("output", "output", 0, x)


def _part(space: NASBench201, group: Group, kind: str, slot: int) -> str | None:
    """The cell of a row; sums, which have no slots of their own, are where their terms are."""
    if kind in ("stem", "output"):
        return kind
    stage = int(group.target.removeprefix("stage"))
    if kind == "residual":
        return f"residual {stage - 1}"
    return None if kind == "sum" else f"cell {(stage - 1) * space.cells + slot // _EDGES[-1].stop + 1}"


def _write_average(module: Average, writer: Writer) -> str:
    return write_average_pool(writer.maps[0], 1)


def _write_output(module: Output, writer: Writer) -> str:
    return writer.pooled(writer.call(plain.Output, module), module.pool)


LOWERING = Lowering(
    network,
    add_rows,
    {
        **SHARED,
        Convolution: plain.Edge,
        Average: _write_average,
        Residual: plain.Residual,
        Output: _write_output,
    },
    _part,
)
