"""The macro space: three phases of K nodes, each wired by its own bits.

The encoding is NSGA-Net's [1], searched by random-weight evaluation in [2]. A phase has K (K - 1) / 2 + 1 bits. Node 2
has one (does it read node 1?), node 3 two, ..., node K has K - 1; the last bit is a skip from the phase's entry to its
output. A node with inputs and no reader feeds the output; a node with readers and no input reads the entry; a node with
neither is dropped. The first phase enters through a 3x3 convolution without padding, the later ones through a 1x1;
channels double and a 2x2 max pool halves the map from phase to phase. For images of ImageNet's size, which the papers
do not carry this space to, the first phase enters through the stem of DARTS' mobile setting instead.

[1] Lu et al., "NSGA-Net: neural architecture search using multi-objective genetic algorithm", GECCO 2019, section 3.1.
[2] Hu et al., "Accelerating multi-objective neural architecture search by random-weight evaluation", Complex &
    Intelligent Systems 2021.

One difference from NSGA-Net: it removes a phase without any connection together with its pool. Here such a phase keeps
entry, normalisation, ReLU and pool, since a population that runs in one compiled pass cannot change shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from rwejax.errors import InputError
from rwejax.genomes import check_genome, check_genomes
from rwejax.spaces import stems
from rwejax.spaces.base import Genomes
from rwejax.spaces.counting import Counts, longest_paths
from rwejax.spaces.sizes import settle_sizes
from rwejax.spaces.texts import DigitText

PHASES = 3


class Wiring(NamedTuple):
    """Decoded genomes. Node 0 is the phase's entry, nodes 1 to K are the nodes; the output is its own row of readers.

    Attributes:
        inputs: `inputs[g, p, i, j]` says whether node i + 1 of phase p reads j, with j = 0 for the entry.
        outputs: `outputs[g, p, j]` says whether the phase's output reads j.
    """

    inputs: Bool[np.ndarray, "n phases nodes sources"]
    outputs: Bool[np.ndarray, "n phases sources"]


@dataclass(frozen=True)
class Macro:
    """The macro space.

    Attributes:
        nodes: K, nodes of a phase, 2 to 6.
        channels: C; the phases have C, 2C and 4C channels.
        input_shape: height, width, channels of an image; at least 6 x 6, so that three maps can be halved.
        classes: classes of the last linear layer.
        stem: "cifar", or "imagenet", whose three convolutions of stride 2 the first phase enters through, so that it
            works at an eighth of the height and width, which are then multiples of 32, and C is even.

    Raises:
        InputError: an option is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("macro", nodes=4, channels=16)
        >>> genome = space.from_string("macro:4:1010100-1110011-0000010")
        >>> int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
        (22188864, 128922)
    """

    nodes: int = 6
    channels: int = 16
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    stem: str = "cifar"

    name: ClassVar[str] = "macro"
    proxy_sizes: ClassVar[Mapping[str, int]] = {"nodes": 4, "channels": 16}
    digits_sizes: ClassVar[Mapping[str, int]] = {"channels": 8}  # of wider ones the smallest win
    default_estimator: ClassVar[str] = "fit_path"

    def __post_init__(self) -> None:
        settle_sizes(self)
        if not 2 <= self.nodes <= 6:
            raise InputError(f"nodes is {self.nodes}: a phase of the macro space has 2 to 6 nodes")
        stems.check(self.stem, self.channels)
        height, width, _ = self.input_shape
        if self.stem == "imagenet":
            stems.check_size(self.name, self.input_shape, 4 * stems.STEMS[self.stem])
        elif min(height, width) < 6:
            raise InputError(
                f"images are {height} x {width} pixels: the macro space halves its maps twice after a 3x3 convolution "
                "and needs at least 6 x 6; give a larger image size"
            )

    @property
    def bits(self) -> int:
        """Bits of one phase."""
        return self.nodes * (self.nodes - 1) // 2 + 1

    @property
    def lower(self) -> Int[np.ndarray, " genes"]:
        """Smallest value of each gene: 0."""
        return np.zeros(PHASES * self.bits, np.int32)

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene: 1."""
        return np.ones(PHASES * self.bits, np.int32)

    @property
    def maps(self) -> tuple[tuple[int, int, int], ...]:
        """Height, width and channels of the feature maps inside each phase."""
        height, width, _ = self.input_shape
        if self.stem == "imagenet":
            height, width = (length // stems.STEMS[self.stem] for length in (height, width))
        else:
            height, width = height - 2, width - 2
        return tuple((height >> p, width >> p, self.channels << p) for p in range(PHASES))

    def sample(self, key: jax.Array, n: int) -> Int[Array, "n genes"]:
        """`n` genomes of independent fair bits, NSGA-Net's start.

        Args:
            key: a random key.
            n: how many genomes.
        """
        return jax.random.randint(key, (n, PHASES * self.bits), 0, 2, jnp.int32)

    def canonical(self, genomes: Genomes) -> Any:
        """Number the nodes of each phase anew, so that isomorphic wirings become one, and clear an empty phase's skip.

        Renumbering keeps the order of information flow; dropped nodes go last and nodes that read early come first.

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        population = check_genomes(self, genomes)
        xp = np if isinstance(population, np.ndarray) else jnp
        phases = population.reshape(len(population), PHASES, self.bits)
        weights = 1 << np.arange(self.bits - 2, -1, -1)
        code = xp.asarray(_canonical_codes(self.nodes))[(phases[..., :-1] * weights).sum(-1)]
        bits = code[..., None] >> np.arange(self.bits - 2, -1, -1) & 1
        skip = phases[..., -1:] * (code > 0)[..., None]
        return xp.concatenate([bits, skip], -1).reshape(population.shape).astype(xp.int32)

    def wiring(self, genomes: Genomes) -> Wiring:
        """Decode genomes; both repairs look at the bits as they are written."""
        genomes = check_genomes(self, genomes)
        phases = np.asarray(genomes, bool).reshape(len(genomes), PHASES, self.bits)
        inputs = np.zeros((len(genomes), PHASES, self.nodes, self.nodes + 1), bool)
        reader, read = np.tril_indices(self.nodes, -1)
        inputs[..., reader, read + 1] = phases[..., :-1]
        has_input = np.asarray(inputs.any(-1))
        has_reader = np.asarray(inputs[..., 1:].any(-2))
        inputs[..., 0] = has_reader & ~has_input
        outputs = np.concatenate([phases[..., -1:], has_input & ~has_reader], -1)
        outputs[..., 0] |= ~has_input.any(-1)
        return Wiring(inputs, outputs)

    def macs(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Multiply-adds of the convolutions and the linear layer for one image; norms and bias are free."""
        wiring = self.wiring(genomes)
        total = np.full(len(wiring.inputs), self.maps[-1][2] * self.classes, np.int64)
        for p, (height, width, channels) in enumerate(self.maps):
            total += self._entry(p)[0] + height * width * self._convolutions(wiring, p) * channels**2
        return total

    def params(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Every parameter: convolutions, scale and bias of the norms, the linear layer with its bias."""
        wiring = self.wiring(genomes)
        total = np.full(len(wiring.inputs), (self.maps[-1][2] + 1) * self.classes, np.int64)
        for p, (_, _, channels) in enumerate(self.maps):
            norms = wiring.inputs[:, p].any(-1).sum(-1) + 1
            total += self._entry(p)[1] + self._convolutions(wiring, p) * channels**2 + 2 * norms * channels
        return total

    def counts(self, genomes: Genomes) -> Counts:
        """Of each phase the nodes that are used, connections, readers of its entry, parts of its output, and depth.

        Args:
            genomes: (n, genes) int32, a canonical population; see `rwejax.spaces.counts`.

        Returns:
            By name, as `nodes_1` for the first phase. The depth is in nodes, on the longest path.
        """
        wiring = self.wiring(genomes)
        found: Counts = {}
        for p in range(PHASES):
            inputs, outputs = wiring.inputs[:, p], wiring.outputs[:, p]
            steps = np.full((len(inputs), self.nodes + 1, self.nodes + 1), -np.inf)
            steps[:, 1:][inputs] = 1
            depth = np.where(outputs, longest_paths(steps), 0).max(-1)
            found |= {
                f"nodes_{p + 1}": inputs.any(-1).sum(-1),
                f"connections_{p + 1}": inputs.sum((-2, -1)),
                f"entry_readers_{p + 1}": inputs[..., 0].sum(-1) + outputs[:, 0],
                f"outputs_{p + 1}": outputs.sum(-1),
                f"depth_{p + 1}": depth.astype(int),
            }
        return found

    def _entry(self, phase: int) -> tuple[int, int]:
        """Multiply-adds and parameters of the convolutions that a phase enters through."""
        if phase == 0 and self.stem == "imagenet":
            return stems.cost(stems.imagenet(self.input_shape[2], self.channels), self.input_shape)
        height, width, channels = self.maps[phase]
        kernels = channels * (channels // 2 if phase else 9 * self.input_shape[2])
        return height * width * kernels, kernels

    def _convolutions(self, wiring: Wiring, phase: int) -> Int[np.ndarray, " n"]:
        """Weights of the C -> C convolutions of a phase, in units of C squared: 9 a node, 1 a mixed source."""
        fan_in = wiring.inputs[:, phase].sum(-1)
        fan_out = wiring.outputs[:, phase].sum(-1)
        mixed = np.where(fan_in > 1, fan_in, 0).sum(-1) + np.where(fan_out > 1, fan_out, 0)
        return (9 * (fan_in > 0).sum(-1) + mixed).astype(np.int64)

    @property
    def _text(self) -> DigitText:
        nodes = tuple(range(1, self.nodes))
        return DigitText(
            self.name,
            groups=(self.bits,) * PHASES,
            largest=(1,) * (PHASES * self.bits),
            size=("nodes", self.nodes),
            gene="bits",
            nested=(((*nodes, 1),) * PHASES,),
        )

    def to_string(self, genome: Any) -> str:
        """The number of nodes and the bits of the phases: `macro:4:1010100-1110011-0000010`."""
        return self._text.write(check_genome(self, genome))

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """Read the bits of the first phase, of the second and of the third.

        Args:
            text: what `to_string` writes; or the bits alone, in a row or with a space between phases; or NSGA-Net's
                lists, `[[[1], [0, 1], [0, 0, 1], [0]], ...]`, node by node and then the skip.

        Raises:
            InputError: the text has another length, is of another number of nodes, or has something else than 0 and 1;
                it says where.
        """
        return self._text.read(text)


@cache
def _canonical_codes(nodes: int) -> Int[np.ndarray, " codes"]:
    """For each wiring of a phase, read as a binary number, the largest number among its renumberings.

    Swapping the labels i and i + 1 is allowed where i + 1 does not read i, and these swaps connect all orders in which
    a wiring can be numbered; so the largest code of each connected component is found by spreading it along the swaps.
    The largest puts connected nodes first, where networks share the most rows.
    """
    reader, read = np.tril_indices(nodes, -1)
    edges = len(reader)
    codes = np.arange(1 << edges)
    bits = codes[:, None] >> np.arange(edges - 1, -1, -1) & 1
    place = np.zeros((nodes, nodes), int)
    place[reader, read] = np.arange(edges)
    neighbours = []
    for i in range(nodes - 1):
        swap = np.arange(nodes)
        swap[[i, i + 1]] = i + 1, i
        low, high = np.minimum(swap[reader], swap[read]), np.maximum(swap[reader], swap[read])
        moved = (bits[:, place[high, low]] << np.arange(edges - 1, -1, -1)).sum(-1)
        neighbours.append(np.where(bits[:, place[i + 1, i]] == 1, codes, moved))
    best = codes
    while True:
        spread = np.max([best, *(best[neighbour] for neighbour in neighbours)], axis=0)
        if np.array_equal(spread, best):
            return best.astype(np.int32)
        best = spread
