"""The DARTS space: cells of four blocks, written as DARTS' genotypes.

The cells are those of DARTS [1], and of NAS-Bench-301 [2], which trained 60,000 of them: each of four blocks has two
operations that read two different inputs, and the cell's output concatenates all four. `rwejax.spaces.cells` says what
the operations are and how cells become a network.

A genome has 24 genes: for each block of the normal and then the reduction cell op1, op2 and a pair. The pair counts the
ordered pairs (i, j) of different inputs, (0, 1) first, i before j: 2, 6, 12 and 20 for the four blocks. One gene for
both inputs keeps any mixture of two genomes a genome; ordered, since published genotypes list either input first.

[1] Liu et al., "DARTS: differentiable architecture search", ICLR 2019.
[2] Siems et al., "NAS-Bench-301 and the case for surrogate benchmarks for neural architecture search", 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from rwejax.genomes import check_genome, check_genomes
from rwejax.spaces import genotypes
from rwejax.spaces.base import Genomes
from rwejax.spaces.cells import CELLS, OPERATIONS, Cells, CellSpace, canonical_form
from rwejax.spaces.texts import refuse

_OPENINGS = ("Genotype(normal=[", "], normal_concat=range(2, 6), reduce=[")
_CLOSING = "], reduce_concat=range(2, 6))"


@dataclass(frozen=True)
class Darts(CellSpace):
    """The DARTS space.

    `none`, the last operation, is accepted in texts and genomes and adds zero; its code lies above `upper`, so it is
    never drawn, and not above `largest`.

    Attributes:
        channels: C; cells have C channels before the first reduction, then 2C, then 4C.
        layers: L, cells of the network, at least 3; those at floor(L/3) and floor(2L/3) reduce.
        input_shape: height, width, channels of an image; height and width are multiples of 4.
        classes: classes of the last linear layer.
        stem: "cifar", or "imagenet" for images of 224 x 224; see `CellSpace`.

    Raises:
        InputError: an option is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("darts", channels=16, layers=8)
        >>> cell = "('sep_conv_3x3', 1), ('skip_connect', 0), " * 3 + "('max_pool_3x3', 4), ('dil_conv_5x5', 2)"
        >>> genome = space.from_string(
        ...     f"Genotype(normal=[{cell}], normal_concat=range(2, 6), reduce=[{cell}], reduce_concat=range(2, 6))"
        ... )
        >>> int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
        (42220032, 257530)
    """

    channels: int = 36
    layers: int = 20

    name: ClassVar[str] = "darts"
    proxy_sizes: ClassVar[Mapping[str, int]] = {"layers": 5, "channels": 8}
    default_estimator: ClassVar[str] = "rwf"
    operations: ClassVar[tuple[str, ...]] = (*OPERATIONS, "none")
    blocks: ClassVar[int] = 4

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene: 6 for an operation, 1, 5, 11 and 19 for the pairs of the four blocks."""
        sampled = self.operations.index("none") - 1
        cell = [gene for sources in self._sources for gene in (sampled, sampled, sources * (sources - 1) - 1)]
        return np.array(cell * len(CELLS), np.int32)

    @property
    def largest(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene that is read: `upper`, and 7 for `none`."""
        return self.upper + np.array([1, 1, 0] * (self.blocks * len(CELLS)), np.int32)

    @property
    def _sources(self) -> Int[np.ndarray, " blocks"]:
        """Inputs that each block can choose from."""
        return np.arange(2, 2 + self.blocks, dtype=np.int32)

    def decode(self, genomes: Genomes) -> Cells:
        """The two cells that each genome stands for, as they are written; a `none` keeps the input of its text."""
        ops, inputs = self._branches(np.asarray(check_genomes(self, genomes)))
        return Cells(ops, inputs, np.ones(ops.shape[:-1], bool))

    def canonical(self, genomes: Genomes) -> Any:
        """Order the branches of each block and the blocks of each cell, so that isomorphic cells become one.

        A `none` reads nothing: its input becomes the lowest that the other branch leaves. Nothing else is merged: an
        operation that reads a block of two `none` reads zeros, but is there and costs what it costs; cells of another
        wiring that happen to compute the same stay apart, as in the micro space.

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        ops, inputs = self._branches(check_genomes(self, genomes))
        return self._genomes(*canonical_form(ops, self._settled(ops, inputs), len(self.operations)))

    def _settled(self, ops: Any, inputs: Any) -> Any:
        """The inputs, those of `none` made 0, or 1 where the other branch has the 0."""
        xp: Any = np if isinstance(ops, np.ndarray) else jnp
        none = ops == self.operations.index("none")
        first = xp.where(none[..., 0], inputs[..., 1] == 0, inputs[..., 0])
        second = xp.where(none[..., 1], first == 0, inputs[..., 1])
        return xp.stack([first, second], -1)

    def _branches(self, genomes: Any) -> tuple[Any, Any]:
        xp: Any = np if isinstance(genomes, np.ndarray) else jnp
        blocks = genomes.astype("int32").reshape(len(genomes), len(CELLS), self.blocks, 3)
        first, other = blocks[..., 2] // (self._sources - 1), blocks[..., 2] % (self._sources - 1)
        return blocks[..., :2], xp.stack([first, other + (other >= first)], -1)

    def _genomes(self, ops: Any, inputs: Any) -> Any:
        xp: Any = np if isinstance(ops, np.ndarray) else jnp
        first, second = inputs[..., 0], inputs[..., 1]
        pair = first * (self._sources - 1) + second - (second > first)
        return xp.concatenate([ops, pair[..., None]], -1).reshape(len(ops), len(self.upper)).astype(xp.int32)

    def to_string(self, genome: Any) -> str:
        """DARTS' text of a genotype."""
        ops, inputs = self._branches(check_genome(self, genome)[None])
        text = ""
        for opening, cell_ops, cell_inputs in zip(_OPENINGS, ops[0], inputs[0], strict=True):
            branches = zip(cell_ops.flat, cell_inputs.flat, strict=True)
            text += opening + ", ".join(f"('{self.operations[op]}', {source})" for op, source in branches)
        return text + _CLOSING

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """Read DARTS' text of a genotype.

        Args:
            text: `Genotype(normal=[...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`, eight
                pairs ('operation', input) a cell, or what else `rwejax.spaces.genotypes` reads.

        Raises:
            InputError: the text is no genotype, or has an unknown operation, inputs that the block does not have or
                reads twice, or not all blocks in the cell's output; it says where.
        """
        try:
            ops, inputs = genotypes.read(
                text, self.blocks, self.operations, lambda inputs: np.ones(len(inputs), bool), differ=True
            )
        except ValueError as error:
            refuse(self.name, text, str(error), genotypes.FORM)
        return np.asarray(self._genomes(ops[None], inputs[None])[0])
