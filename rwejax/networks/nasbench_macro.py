"""The NAS-Bench-Macro space on the executor: operations, groups, and the rows of genomes."""

import itertools

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, Int

from rwejax.networks import plain_operations as plain
from rwejax.networks.builder import Builder
from rwejax.networks.convolutions import features
from rwejax.networks.forms import SHARED, Writer
from rwejax.networks.lowering import Lowering
from rwejax.networks.modules import Images, Norm, Normalise, Sources, Stem, convolution, depthwise, relu
from rwejax.networks.program import ABSENT, Group, Kind, Network
from rwejax.spaces import NASBenchMacro
from rwejax.spaces.nasbench_macro import EXPANSIONS, HEAD_CHANNELS, KERNELS


class RectifiedStem(nn.Module):
    """Convolution 3x3, normalisation, ReLU."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Compute the first feature map."""
        return relu(self, Stem(self.channels)(sources, norm))


class Shrink(nn.Module):
    """The identity where the map is halved: 1x1 convolution of stride 2, normalisation."""

    channels: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Halve the map of the source."""
        return Normalise()(convolution(self.channels, 1, 2)(sources[0]), norm)


class Bottleneck(nn.Module):
    """Inverted bottleneck: 1x1, depthwise and 1x1 convolution, with a residual where the shapes agree."""

    channels: int
    expansion: int
    size: int
    stride: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        x = sources[0]
        wide = self.expansion * x.shape[-1]
        y = relu(self, Normalise()(convolution(wide)(x), norm))
        y = relu(self, Normalise()(depthwise(wide, self.size, self.stride)(y), norm))
        y = Normalise()(convolution(self.channels)(y), norm)
        return x + y if x.shape == y.shape else y


class Output(nn.Module):
    """1x1 convolution, normalisation, ReLU, `pool` x `pool` features a channel."""

    pool: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Float[Array, "images features"]:
        """Pool the source."""
        x = relu(self, Normalise()(convolution(HEAD_CHANNELS)(sources[0]), norm))
        return features(x, self.pool)


def network(space: NASBenchMacro, pool: int) -> Network:
    """For each stage its first layer, which halves the map, and its other layers; and the output.

    Args:
        space: the NAS-Bench-Macro space.
        pool: the last map becomes `pool` x `pool` features a channel.
    """
    height, width, _ = space.input_shape
    buffers: dict[str, tuple[int, ...]] = {"images": space.input_shape, "stem": (height, width, space.channels)}
    groups = [Group("stem", (("stem", Kind(RectifiedStem(space.channels))),), 1, 1, "images", "stem")]
    source = "stem"
    for s, layers in enumerate(_stages(space)):
        stage, first = f"stage{s + 1}", space.layers[layers[0]]
        channels = first.outputs
        buffers |= {stage: (first.height, first.width, channels)}
        sizes = list(zip(EXPANSIONS, KERNELS, strict=True))
        halve = [Kind(Bottleneck(channels, *each, first.stride)) for each in sizes]
        keep = [Kind(Bottleneck(channels, *each, 1), len(layers) - 1) for each in sizes]
        kinds = (("identity", Kind(Shrink(channels))), ("mb3", halve[0]), ("mb6", halve[1]))
        groups += [
            Group(f"halve{s + 1}", kinds, 1, 1, source, stage),
            Group(stage, (("mb3", keep[0]), ("mb6", keep[1])), len(layers) - 1, 1, stage, stage),
        ]
        source = stage
    buffers |= {"features": (pool**2 * HEAD_CHANNELS,)}
    groups.append(Group("output", (("output", Kind(Output(pool))),), 1, 1, source, "features"))
    return Network(tuple(groups), buffers)


def _stages(space: NASBenchMacro) -> list[range]:
    """The layers of each stage: a stage begins where the map is halved."""
    starts = [place for place, layer in enumerate(space.layers) if layer.stride == 2]
    return [range(start, end) for start, end in itertools.pairwise([*starts, len(space.layers)])]


def add_rows(space: NASBenchMacro, genomes: Int[np.ndarray, "n genes"], builder: Builder) -> Int[np.ndarray, " n"]:
    """Add the rows of genomes and return each genome's row of features.

    Args:
        space: the space of the genomes.
        genomes: (n, genes) int32; canonical forms have the most rows in common.
        builder: collects the rows.
    """
    x = builder.add("stem", "stem", 0, np.zeros(len(genomes), int))
    for s, (first, *others) in enumerate(_stages(space)):
        x = builder.add(f"halve{s + 1}", genomes[:, first], 0, x)
        for slot, layer in enumerate(others):
            op = genomes[:, layer]
            row = builder.add(f"stage{s + 1}", np.maximum(op - 1, 0), slot, np.where(op == 0, ABSENT, x))
            x = np.where(op == 0, x, row)
    return builder.add("output", "output", 0, x)


def _write_output(module: Output, writer: Writer) -> str:
    return writer.pooled(writer.call(plain.Widen, module, channels=HEAD_CHANNELS), module.pool)


LOWERING = Lowering(
    network,
    add_rows,
    {
        **SHARED,
        RectifiedStem: plain.RectifiedStem,
        Shrink: plain.Shrink,
        Bottleneck: plain.Bottleneck,
        Output: _write_output,
    },
)
