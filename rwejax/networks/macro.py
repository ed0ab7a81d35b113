"""The macro space on the executor: operations, groups, and the rows of genomes."""

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Int

from rwejax.networks import plain_operations as plain
from rwejax.networks.builder import Builder
from rwejax.networks.convolutions import features, max_pool
from rwejax.networks.forms import SHARED, Writer
from rwejax.networks.lowering import Lowering
from rwejax.networks.modules import Halve, Images, Mix, Norm, Normalise, Quarter, Sources, convolution, relu
from rwejax.networks.program import ABSENT, Group, Kind, Network
from rwejax.spaces import Macro


class Entry(nn.Module):
    """A convolution without norm or padding that brings a single source to the phase's channels."""

    channels: int
    size: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        return convolution(self.channels, self.size, padding=[(0, 0), (0, 0)])(sources[0])


class Node(nn.Module):
    """Mix, convolution 3x3, normalisation, ReLU."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Compute the node's feature map."""
        x = convolution(self.channels, 3)(Mix()(sources))
        return relu(self, Normalise()(x, norm))


class Output(nn.Module):
    """Mix, normalisation, ReLU, then a 2x2 max pool; after the last phase `pool` x `pool` features a channel."""

    pool: int | None

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Array:
        """Compute the phase's pooled output."""
        x = relu(self, Normalise()(Mix()(sources), norm))
        return max_pool(x, 2, 2) if self.pool is None else features(x, self.pool)


def network(space: Macro, pool: int) -> Network:
    """Three groups a phase: its entry, its nodes and its output; for large images a stem comes before them.

    Args:
        space: the macro space.
        pool: the last map becomes `pool` x `pool` features a channel.
    """
    groups = []
    buffers: dict[str, tuple[int, ...]] = {"images": space.input_shape}
    source = "images"
    if space.stem == "imagenet":
        height, width, _ = space.input_shape
        buffers |= {"stem": (height // 4, width // 4, space.channels)}
        groups.append(Group("stem", (("stem", Kind(Quarter(space.channels))),), 1, 1, source, "stem"))
        source = "stem"
    for p, (height, width, channels) in enumerate(space.maps):
        first, last = p == 0, p == len(space.maps) - 1
        phase, pooled = f"phase{p + 1}", "features" if last else f"pooled{p + 1}"
        buffers |= {phase: (height, width, channels)}
        buffers |= {pooled: (pool**2 * channels,) if last else (height // 2, width // 2, channels)}
        entry = Halve(channels) if source == "stem" else Entry(channels, 3 if first else 1)
        node, output = Node(channels), Output(pool if last else None)
        groups += [
            Group(f"entry{p + 1}", (("entry", Kind(entry)),), 1, 1, source, phase),
            Group(f"nodes{p + 1}", (("node", Kind(node, space.nodes)),), space.nodes, space.nodes, phase, phase),
            Group(f"output{p + 1}", (("output", Kind(output)),), 1, space.nodes + 1, phase, pooled),
        ]
        source = pooled
    return Network(tuple(groups), buffers)


def add_rows(space: Macro, genomes: Int[np.ndarray, "n genes"], builder: Builder) -> Int[np.ndarray, " n"]:
    """Add the rows of genomes and return each genome's row of features.

    Args:
        space: the space of the genomes.
        genomes: (n, genes) int32; canonical forms have the most rows in common.
        builder: collects the rows.
    """
    wiring = space.wiring(genomes)
    x = np.zeros(len(genomes), int)
    if space.stem == "imagenet":
        x = builder.add("stem", "stem", 0, x)
    for p in range(len(space.maps)):
        rows = [builder.add(f"entry{p + 1}", "entry", 0, x)]
        for node in range(space.nodes):
            reads = wiring.inputs[:, p, node, : node + 1].T
            sources = [np.where(read, row, ABSENT) for read, row in zip(reads, rows, strict=True)]
            rows.append(builder.add(f"nodes{p + 1}", "node", node, *sources))
        feeds = wiring.outputs[:, p].T
        sources = [np.where(feed, row, ABSENT) for feed, row in zip(feeds, rows, strict=True)]
        x = builder.add(f"output{p + 1}", "output", 0, *sources)
    return x


def _write_output(module: Output, writer: Writer) -> str:
    maps = writer.call(plain.Output, module)
    return f"nn.max_pool({maps}, (2, 2), (2, 2))" if module.pool is None else writer.pooled(maps, module.pool)


LOWERING = Lowering(network, add_rows, {**SHARED, Entry: plain.Entry, Node: plain.Node, Output: _write_output})
