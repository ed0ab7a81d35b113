"""The micro space: NASNet-style cells of five blocks in NSGA-Net's encoding.

A genome is the normal and then the reduction cell [1], searched by random-weight evaluation in [2]. A cell has five
blocks (op1, input1, op2, input2); an input is 0 for the cell before last, 1 for the last cell, 2 and up for the blocks
before this one. The blocks that no block reads are concatenated to the cell's output. `rwejax.spaces.cells` says what
the operations are and how cells become a network.

[1] Lu et al., "NSGA-Net: neural architecture search using multi-objective genetic algorithm", GECCO 2019.
[2] Hu et al., "Accelerating multi-objective neural architecture search by random-weight evaluation", Complex &
    Intelligent Systems 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from rwejax.errors import quoted
from rwejax.genomes import check_genome, check_genomes
from rwejax.spaces import genotypes
from rwejax.spaces.base import Genomes
from rwejax.spaces.cells import CELLS, OPERATIONS, Cells, CellSpace, canonical_form
from rwejax.spaces.texts import DigitText, refuse

_GENES = ("op1", "input1", "op2", "input2")


@dataclass(frozen=True)
class Micro(CellSpace):
    """The micro space.

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
        >>> space = spaces.get("micro", channels=8, layers=5)
        >>> cell = "3 0 2 1 3 1 2 0 4 2 1 3 0 0 5 1 8 1 2 4"
        >>> genome = space.from_string(f"{cell} {cell}")
        >>> int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
        (12636800, 78074)
    """

    channels: int = 8
    layers: int = 5

    name: ClassVar[str] = "micro"
    proxy_sizes: ClassVar[Mapping[str, int]] = {"layers": 5, "channels": 8}
    default_estimator: ClassVar[str] = "fit_path"
    operations: ClassVar[tuple[str, ...]] = (*OPERATIONS, "sep_conv_7x7", "conv_7x1_1x7")
    blocks: ClassVar[int] = 5

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene: 8 for an operation, 1 to 5 for an input of the first to the fifth block."""
        last = len(self.operations) - 1
        cell = [gene for block in range(self.blocks) for gene in (last, 1 + block, last, 1 + block)]
        return np.array(cell * len(CELLS), np.int32)

    def decode(self, genomes: Genomes) -> Cells:
        """The two cells that each genome stands for, as they are written."""
        ops, inputs = self._branches(np.asarray(check_genomes(self, genomes)))
        read = inputs[..., None] == np.arange(2, 2 + self.blocks)
        return Cells(ops, inputs, ~read.any((-3, -2)))

    def canonical(self, genomes: Genomes) -> Any:
        """Order the branches of each block and the blocks of each cell, so that isomorphic cells become one.

        Nothing else is merged, and nothing is dropped: every block feeds the output, directly or through others.
        Cells of another wiring that happen to compute the same stay apart: sums of skips that are bracketed otherwise;
        readers of one or the other of two equal blocks without weights; and, with 3 layers, inputs 0 and 1 exchanged
        in the only normal cell, which reads the stem twice.

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        genomes = check_genomes(self, genomes)
        xp: Any = np if isinstance(genomes, np.ndarray) else jnp
        ops, inputs = canonical_form(*self._branches(genomes), len(self.operations))
        return xp.stack([ops, inputs], -1).reshape(len(genomes), len(self.upper)).astype(xp.int32)

    def _branches(self, genomes: Any) -> tuple[Any, Any]:
        branches = genomes.astype("int32").reshape(len(genomes), len(CELLS), self.blocks, 2, 2)
        return branches[..., 0], branches[..., 1]

    @property
    def _text(self) -> DigitText:
        pairs = ((2, 2),) * self.blocks
        nested = ((20, 20), ((4,) * self.blocks,) * len(CELLS), (pairs,) * len(CELLS))
        return DigitText(
            self.name, (len(_GENES),) * (self.blocks * len(CELLS)), tuple(self.upper.tolist()), nested=nested
        )

    def to_string(self, genome: Any) -> str:
        """The genes block by block, the normal cell first: `micro:3021-3120-4213-0051-8124-...`."""
        return self._text.write(check_genome(self, genome))

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """Read the genes, or a genotype of two cells of five blocks.

        Args:
            text: what `to_string` writes: for each block of the normal and then the reduction cell op1, input1, op2,
                input2; or the 40 integers with single spaces, or NSGA-Net's lists of them, `[[[[op1, input1], [op2,
                input2]], ...], ...]`; or what `rwejax.spaces.genotypes` reads, where the blocks that no block reads
                must be those that are concatenated.

        Raises:
            InputError: the text has another number of genes or blocks, or one is none of its range; it says which.
        """
        form = self._text.example
        if "Genotype" in text or "{" in text:
            try:
                branches = genotypes.read(text, self.blocks, self.operations, self._unread, differ=False)
            except ValueError as error:
                refuse(self.name, text, str(error), f"{form} or {genotypes.FORM}")
            return np.stack(branches, -1).ravel()
        words = text.strip().split(" ")
        if len(words) < 2 or set("[(:") & set(text):
            return self._text.read(text)
        for place, (word, upper) in enumerate(zip(words, self.upper.tolist(), strict=False)):
            if word not in map(str, range(upper + 1)):
                block, gene = divmod(place, len(_GENES))
                cell, block = divmod(block, self.blocks)
                where = f"integer {place + 1} ({_GENES[gene]} of block {block + 1} of the {CELLS[cell]} cell)"
                refuse(self.name, text, f": {where} is {quoted(word)}, not one of 0 to {upper}", form)
        if len(words) != len(self.upper):
            refuse(self.name, text, f" has {len(words)} integers: two cells need {len(self.upper)}", form)
        return np.array([int(word) for word in words], np.int32)

    def _unread(self, inputs: Int[np.ndarray, "blocks 2"]) -> Bool[np.ndarray, " blocks"]:
        return ~np.isin(np.arange(2, 2 + self.blocks), inputs)
