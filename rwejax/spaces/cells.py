"""The cell engine: networks that repeat a normal and a reduction cell, for the micro and the DARTS space.

The layout is NASNet's as DARTS [1] and NSGA-Net [2] build it. A 3x3 convolution to 3C channels with a norm is the
stem, and both inputs of the first cell. L cells follow, each reading the last cell and the cell before; those at
floor(L/3) and floor(2L/3) are reduction cells, where maps halve and C doubles. Global average pool and a linear layer
end it.

A cell first brings both inputs to its own C channels at the resolution of the last cell: ReLU, 1x1 convolution, norm;
or, for an older input of a higher resolution, the factorised reduction: ReLU, two 1x1 convolutions of stride 2 to C/2
channels, the second one pixel off, concatenated, norm. Both exist even if no block reads them. A block is the sum of
two operations; in a reduction cell those that read an input of the cell, and only those, have stride 2.

Operations; every convolution is without bias, and a norm has scale and bias:
- sep_conv_kxk: twice (ReLU, depthwise k x k, pointwise, norm), a stride in the first;
- dil_conv_kxk: ReLU, depthwise k x k with dilation 2, pointwise, norm;
- conv_7x1_1x7: ReLU, 1x7, then 7x1, norm. At stride 2 the 1x7 halves the width and the 7x1 the height, so the first
  still runs on all rows;
- skip_connect: the identity, or the factorised reduction at stride 2;
- max_pool_3x3, avg_pool_3x3: no multiply-adds and, as the published parameter counts show, no norm with parameters;
- none: zero, and costs nothing.

[1] Liu et al., "DARTS: differentiable architecture search", ICLR 2019, sections 2.1 and 3.
[2] Lu et al., "NSGA-Net: neural architecture search using multi-objective genetic algorithm", GECCO 2019.
"""

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from rwejax.errors import InputError
from rwejax.spaces import stems
from rwejax.spaces.base import Genomes
from rwejax.spaces.counting import Counts, longest_paths, occurrences
from rwejax.spaces.sizes import settle_sizes

CELLS = ("normal", "reduction")

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""What both spaces can choose, in DARTS' order, which NSGA-Net continues."""


class Cells(NamedTuple):
    """Decoded genomes; axis 1 is 0 for the normal and 1 for the reduction cell.

    Attributes:
        ops: code of each operation in the space's `operations`.
        inputs: what each operation reads: 0 the cell before last, 1 the last cell, 2 the first block, and so on.
        outputs: blocks that the cell's output concatenates.
    """

    ops: Int[np.ndarray, "n 2 blocks 2"]
    inputs: Int[np.ndarray, "n 2 blocks 2"]
    outputs: Bool[np.ndarray, "n 2 blocks"]


class Cell(NamedTuple):
    """One cell of the network; height, width and channels are those of its blocks, after a reduction."""

    reduction: bool
    height: int
    width: int
    channels: int


class _Cost(NamedTuple):
    """What one operation on C channels costs: weights of dense kernels in units of C squared, of depthwise ones in C.

    `dense_macs` are multiply-adds at one output position; depthwise weights are all used once a position.
    """

    dense: int
    dense_macs: int
    depthwise: int
    norms: int


_FREE = _Cost(0, 0, 0, 0)
_FACTORISED = _Cost(1, 1, 0, 1)


def _separable(kernel: int, times: int) -> tuple[_Cost, _Cost]:
    cost = _Cost(times, times, times * kernel**2, times)
    return cost, cost


# At stride 1 and at stride 2.
_COSTS = {
    "max_pool_3x3": (_FREE, _FREE),
    "avg_pool_3x3": (_FREE, _FREE),
    "skip_connect": (_FREE, _FACTORISED),
    "sep_conv_3x3": _separable(3, times=2),
    "sep_conv_5x5": _separable(5, times=2),
    "sep_conv_7x7": _separable(7, times=2),
    "dil_conv_3x3": _separable(3, times=1),
    "dil_conv_5x5": _separable(5, times=1),
    "conv_7x1_1x7": (_Cost(14, 7 + 7, 0, 1), _Cost(14, 2 * 7 + 7, 0, 1)),
    "none": (_FREE, _FREE),
}


@dataclass(frozen=True)
class CellSpace(ABC):
    """What the cell spaces share: layout and cost of the network, and drawing genomes.

    Attributes:
        channels: C; cells have C channels before the first reduction, then 2C, then 4C. The factorised reduction
            splits 2C and 4C only, so C may be odd.
        layers: L, cells of the network, at least 3.
        input_shape: height, width, channels of an image; height and width are multiples of 4, so that they halve twice.
        classes: classes of the last linear layer.
        stem: "cifar", a 3x3 convolution to 3C channels; or "imagenet", DARTS' three of stride 2, so that the cells work
            at an eighth of the height and width, which are then multiples of 32, and C is even.

    Raises:
        InputError: an option is out of its range.
    """

    channels: int
    layers: int
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    stem: str = "cifar"

    name: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]
    blocks: ClassVar[int]

    def __post_init__(self) -> None:
        settle_sizes(self)
        if self.layers < 3:
            raise InputError(f"layers is {self.layers}: the {self.name} space needs 3 or more for its two reductions")
        stems.check(self.stem, self.channels)
        stems.check_size(self.name, self.input_shape, 4 * stems.STEMS[self.stem])

    @property
    def lower(self) -> Int[np.ndarray, " genes"]:
        """Smallest value of each gene: 0."""
        return np.zeros_like(self.upper)

    @property
    @abstractmethod
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene, inclusive."""

    @abstractmethod
    def decode(self, genomes: Genomes) -> Cells:
        """The two cells that each genome stands for."""

    @property
    def maps(self) -> tuple[int, int]:
        """Height and width of the maps of the first cell."""
        height, width, _ = self.input_shape
        return height // stems.STEMS[self.stem], width // stems.STEMS[self.stem]

    @property
    def layout(self) -> tuple[Cell, ...]:
        """The cells of the network, from the stem on."""
        height, width = self.maps
        reductions = np.arange(self.layers)[:, None] == (self.layers // 3, 2 * self.layers // 3)
        halvings = reductions.any(-1).cumsum().tolist()
        return tuple(
            Cell(h > before, height >> h, width >> h, self.channels << h)
            for before, h in itertools.pairwise([0, *halvings])
        )

    def sample(self, key: jax.Array, n: int) -> Int[Array, "n genes"]:
        """`n` genomes, each gene uniform over its values.

        Args:
            key: a random key.
            n: how many genomes.
        """
        return jax.random.randint(key, (n, len(self.upper)), self.lower, self.upper + 1, jnp.int32)

    def macs(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Multiply-adds of the convolutions and the linear layer for one image; norms and bias are free."""
        return self._complexity(genomes)[0]

    def params(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Every parameter: convolutions, scale and bias of the norms, the linear layer with its bias."""
        return self._complexity(genomes)[1]

    def counts(self, genomes: Genomes) -> Counts:
        """How often each operation stands in each cell and in both, readers of the cells' inputs, outputs, and depths.

        Args:
            genomes: (n, genes) int32, a canonical population; see `rwejax.spaces.counts`.

        Returns:
            By name: operations as `sep_conv_3x3` for both cells and `normal_sep_conv_3x3` for one; `normal_older` and
            `normal_last`, the operations that read the cell before last and the last one; `normal_outputs`, the blocks
            that are concatenated; `normal_depth`, the blocks on the longest path; and so for the reduction cell.
        """
        cells = self.decode(genomes)
        none = self.operations.index("none") if "none" in self.operations else -1
        found = occurrences(cells.ops.reshape(len(cells.ops), -1), self.operations)
        for number, cell in enumerate(CELLS):
            ops, inputs = cells.ops[:, number], cells.inputs[:, number]
            found |= occurrences(ops.reshape(len(ops), -1), self.operations, f"{cell}_")
            inputs = np.where(ops == none, -1, inputs)  # which reads nothing
            steps = np.full((len(ops), self.blocks + 2, self.blocks + 2), -np.inf)
            rows, blocks, _ = places = np.nonzero(inputs >= 0)
            steps[rows, 2 + blocks, inputs[places]] = 1
            found |= {
                f"{cell}_older": (inputs == 0).sum((-2, -1)),
                f"{cell}_last": (inputs == 1).sum((-2, -1)),
                f"{cell}_outputs": cells.outputs[:, number].sum(-1),
                f"{cell}_depth": longest_paths(steps, sources=2).max(-1).astype(int),
            }
        return found

    def _complexity(self, genomes: Genomes) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        cells = self.decode(genomes)
        costs = np.array([[_COSTS[name][stride] for name in self.operations] for stride in (0, 1)], np.int64)
        strided = (cells.inputs < 2) & np.array([False, True])[:, None, None]
        cost = costs[strided.astype(int), cells.ops].sum((-3, -2))
        outputs = cells.outputs.sum(-1)

        image_channels = self.input_shape[-1]
        cifar = [stems.Kernel(image_channels, 3 * self.channels)]
        kernels = cifar if self.stem == "cifar" else stems.imagenet(image_channels, self.channels)
        macs, params = (np.full(len(cells.ops), cost, np.int64) for cost in stems.cost(kernels, self.input_shape))
        older = last = np.full(len(cells.ops), kernels[-1].written, np.int64)
        for reduction, height, width, channels in self.layout:
            dense, dense_macs, depthwise, norms = cost[:, int(reduction)].T
            # The factorised reduction has the kernels and the output positions of the 1x1 convolution it stands for.
            preprocessing = (older + last) * channels
            macs += (height * width << 2 * reduction) * preprocessing
            macs += height * width * (dense_macs * channels**2 + depthwise * channels)
            params += preprocessing + dense * channels**2 + (depthwise + 2 * (norms + 2)) * channels
            older, last = last, outputs[:, int(reduction)] * channels
        return macs + last * self.classes, params + (last + 1) * self.classes


def canonical_form(
    ops: Int[Any, "n 2 blocks 2"], inputs: Int[Any, "n 2 blocks 2"], operations: int
) -> tuple[Int[Any, "n 2 blocks 2"], Int[Any, "n 2 blocks 2"]]:
    """One form for all orders of a block's branches and all orders of the blocks where each reads only earlier ones.

    Of these it is the smallest, compared block by block as (operation, input, operation, input).

    Args:
        ops: codes of the operations, below `operations`; numpy or JAX.
        inputs: what they read, numbered as in `Cells`.
        operations: number of codes.

    Returns:
        The operations and the inputs of that form, the same kind of array.
    """
    xp: Any = np if isinstance(ops, np.ndarray) else jnp
    blocks = ops.shape[-2]
    orders, places, renamed = _renumberings(blocks)
    moved = xp.asarray(renamed)[:, inputs]
    legal = (moved < 2 + places[:, None, None, :, None]).all((-2, -1))
    sources = blocks + 2
    branch = ops * sources + moved
    branches = operations * sources
    code = branch.min(-1) * branches + branch.max(-1)
    code = xp.take_along_axis(code, xp.asarray(orders)[:, None, None], -1)
    # Five blocks in one number would pass 2^31, so block after block leaves fewer orders in the race.
    smallest = []
    for block in range(blocks):
        contender = xp.where(legal, code[..., block], branches**2)
        smallest.append(contender.min(0))
        legal = legal & (contender == smallest[-1])
    best = xp.stack(smallest, -1)
    branch = xp.stack([best // branches, best % branches], -1)
    return branch // sources, branch % sources


@cache
def _renumberings(
    blocks: int,
) -> tuple[Int[np.ndarray, "orders blocks"], Int[np.ndarray, "orders blocks"], Int[np.ndarray, "orders sources"]]:
    """All orders of the blocks: the block at each place, the place of each block, the new number of each input."""
    orders = np.array(list(itertools.permutations(range(blocks))), np.int32)
    places = np.argsort(orders, -1).astype(np.int32)
    cell_inputs = np.broadcast_to(np.arange(2, dtype=np.int32), (len(orders), 2))
    return orders, places, np.concatenate([cell_inputs, 2 + places], -1)
