"""The NAS-Bench-Macro space: eight layers in a row, each the identity or one of two inverted bottlenecks.

The network is a 3x3 stem to C channels with norm and ReLU, stages of 2, 3 and 3 layers, a 1x1 convolution to 1,280
channels with norm and ReLU, global average pool and a linear layer [1]. The first layer of a stage has stride 2 and
doubles the channels; there the identity becomes a 1x1 convolution of stride 2 with a norm. A bottleneck is 1x1 to t
times its inputs, norm, ReLU, depthwise k x k with the stride, norm, ReLU, 1x1, norm, and is residual where its two
shapes agree.

[1] Su et al., "Prioritized architecture sampling with Monto-Carlo tree search", CVPR 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from rwejax.errors import InputError
from rwejax.genomes import check_genome, check_genomes
from rwejax.spaces.base import Genomes
from rwejax.spaces.counting import Counts, occurrences
from rwejax.spaces.sizes import settle_sizes
from rwejax.spaces.texts import DigitText

DEPTHS = (2, 3, 3)
CHOICES = 3
EXPANSIONS = (3, 6)
KERNELS = (3, 5)
HEAD_CHANNELS = 1280
"""Outputs of the last 1x1 convolution: MobileNetV2's width, the same for every C."""


class Layer(NamedTuple):
    """A place in the row: the stride, the channels read and written, height and width of the output."""

    stride: int
    inputs: int
    outputs: int
    height: int
    width: int


@dataclass(frozen=True)
class NASBenchMacro:
    """The NAS-Bench-Macro space. A gene is a layer: 0 identity, 1 and 2 the bottlenecks of `EXPANSIONS` and `KERNELS`.

    Attributes:
        channels: C, channels of the stem; the stages have 2C, 4C and 8C.
        input_shape: height, width, channels of an image; at least 8 x 8, so that three maps can be halved.
        classes: classes of the last linear layer.

    Raises:
        InputError: an option is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench_macro")
        >>> genome = space.from_string("nasbench_macro:12-222-120")
        >>> int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
        (81766912, 1922826)
    """

    channels: int = 32
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10

    name: ClassVar[str] = "nasbench_macro"
    proxy_sizes: ClassVar[Mapping[str, int]] = {"channels": 16}
    default_estimator: ClassVar[str] = "fit_path"

    def __post_init__(self) -> None:
        settle_sizes(self)
        height, width, _ = self.input_shape
        if min(height, width) < 8:
            raise InputError(
                f"images are {height} x {width} pixels: the NAS-Bench-Macro space halves its maps three times and "
                "needs at least 8 x 8; give a larger image size"
            )

    @property
    def lower(self) -> Int[np.ndarray, " genes"]:
        """Smallest value of each gene: 0."""
        return np.zeros(sum(DEPTHS), np.int32)

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene: 2."""
        return np.full(sum(DEPTHS), CHOICES - 1, np.int32)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The eight places, in order."""
        height, width, _ = self.input_shape
        layers = []
        for s, depth in enumerate(DEPTHS):
            # "Same" padding: a map of odd size keeps its last row and column.
            height, width = (height + 1) // 2, (width + 1) // 2
            outputs = self.channels << (s + 1)
            layers.append(Layer(2, outputs // 2, outputs, height, width))
            layers += [Layer(1, outputs, outputs, height, width)] * (depth - 1)
        return tuple(layers)

    def sample(self, key: jax.Array, n: int) -> Int[Array, "n genes"]:
        """`n` genomes, every choice equally likely in every layer.

        Args:
            key: a random key.
            n: how many genomes.
        """
        return jax.random.randint(key, (n, sum(DEPTHS)), 0, CHOICES, jnp.int32)

    def canonical(self, genomes: Genomes) -> Any:
        """Move the identities of a stage behind its other layers; its first layer stays, since it is never free.

        The layers that remain keep their order, so `macs` and `params` do not change; 3,969 networks are different.

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        genomes = check_genomes(self, genomes)
        xp = np if isinstance(genomes, np.ndarray) else jnp
        stages = []
        for stage in xp.split(genomes, np.cumsum(DEPTHS)[:-1], axis=-1):
            order = xp.argsort(stage[:, 1:] == 0, axis=-1, stable=True)
            stages += [stage[:, :1], xp.take_along_axis(stage[:, 1:], order, axis=-1)]
        return xp.concatenate(stages, -1).astype(xp.int32)

    def macs(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Multiply-adds of the convolutions and the linear layer for one image; norms and bias are free."""
        height, width, image_channels = self.input_shape
        last = self.layers[-1]
        stem = height * width * 9 * image_channels * self.channels
        head = last.height * last.width * last.outputs * HEAD_CHANNELS + HEAD_CHANNELS * self.classes
        costs = []
        for layer in self.layers:
            read, written = height * width, layer.height * layer.width
            identity = written * layer.inputs * layer.outputs if layer.stride == 2 else 0
            bottlenecks = [
                t * layer.inputs * (read * layer.inputs + written * (k**2 + layer.outputs))
                for t, k in zip(EXPANSIONS, KERNELS, strict=True)
            ]
            costs.append([identity, *bottlenecks])
            height, width = layer.height, layer.width
        return stem + head + _chosen(costs, check_genomes(self, genomes))

    def params(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Every parameter: convolutions, scale and bias of the norms, the linear layer with its bias."""
        stem = (9 * self.input_shape[2] + 2) * self.channels
        head = (self.layers[-1].outputs + 2) * HEAD_CHANNELS + (HEAD_CHANNELS + 1) * self.classes
        costs = []
        for layer in self.layers:
            identity = (layer.inputs + 2) * layer.outputs if layer.stride == 2 else 0
            bottlenecks = [
                t * layer.inputs * (layer.inputs + 2 + k**2 + 2 + layer.outputs) + 2 * layer.outputs
                for t, k in zip(EXPANSIONS, KERNELS, strict=True)
            ]
            costs.append([identity, *bottlenecks])
        return stem + head + _chosen(costs, check_genomes(self, genomes))

    def counts(self, genomes: Genomes) -> Counts:
        """Of each stage how often each choice stands in it, and the depth: layers that are not the identity.

        Args:
            genomes: (n, genes) int32, a canonical population; see `rwejax.spaces.counts`.

        Returns:
            By name, as `bottleneck_6_5_stage_2` for t = 6 and k = 5 in the second stage.
        """
        found: Counts = {"depth": (np.asarray(genomes) > 0).sum(-1)}
        names = "identity", *(f"bottleneck_{t}_{k}" for t, k in zip(EXPANSIONS, KERNELS, strict=True))
        for number, stage in enumerate(np.split(np.asarray(genomes), np.cumsum(DEPTHS)[:-1], axis=-1), 1):
            found |= occurrences(stage, [f"{name}_stage_{number}" for name in names])
        return found

    @property
    def _text(self) -> DigitText:
        return DigitText(self.name, DEPTHS, (CHOICES - 1,) * sum(DEPTHS))

    def to_string(self, genome: Any) -> str:
        """The genes, stage by stage: `nasbench_macro:12-222-120`."""
        return self._text.write(check_genome(self, genome))

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """Read eight digits, a layer each: 0 the identity, 1 and 2 the bottlenecks.

        Args:
            text: what `to_string` writes; or the digits alone, which is the benchmark's text, or a list of them.

        Raises:
            InputError: the text has another length, or something else than 0, 1 and 2; it says where.
        """
        return self._text.read(text)


def _chosen(costs: list[list[int]], genomes: Genomes) -> Int[np.ndarray, " n"]:
    """Sum over the layers of the chosen operation's cost."""
    return np.asarray(costs, np.int64)[np.arange(len(costs)), np.asarray(genomes)].sum(-1)
