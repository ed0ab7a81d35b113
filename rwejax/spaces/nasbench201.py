"""The NAS-Bench-201 space: one cell of four nodes, an operation on each of its six edges.

Node 0 is the cell's input and node 3 its output; every node sums what its edges bring from all earlier nodes [1]. The
network is a 3x3 stem to C channels with a norm, three stages of N cells with C, 2C and 4C channels, a residual block of
stride 2 between two stages, then norm, ReLU, global average pool and a linear layer. A convolution of the cell is ReLU,
convolution, norm. The residual block is two such 3x3 convolutions, the first with the stride; its shortcut is a 2x2
average pool and a 1x1 convolution without norm.

[1] Dong and Yang, "NAS-Bench-201: extending the scope of reproducible neural architecture search", ICLR 2020.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from rwejax.errors import InputError, quoted
from rwejax.genomes import check_genome, check_genomes
from rwejax.spaces import literals
from rwejax.spaces.base import Genomes
from rwejax.spaces.counting import Counts, longest_paths, occurrences
from rwejax.spaces.sizes import settle_sizes
from rwejax.spaces.texts import refuse

STAGES = 3
NODES = 4
EDGES = tuple((node, source) for node in range(1, NODES) for source in range(node))
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV_1X1, CONV_3X3, _ = range(len(OPERATIONS))

Cell = tuple[int, ...]

_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


@dataclass(frozen=True)
class NASBench201:
    """The NAS-Bench-201 space. A gene is the operation of an edge, the edges in the text's order.

    Attributes:
        channels: C; the stages have C, 2C and 4C channels.
        cells: N, cells of a stage.
        input_shape: height, width, channels of an image; height and width are halved twice.
        classes: classes of the last linear layer.

    Raises:
        InputError: an option is out of its range.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench201")
        >>> text = "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|skip_connect~2|"
        >>> genome = space.from_string(text)
        >>> genome.tolist(), int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
        ([4, 0, 2, 3, 0, 1], 47104640, 344346)
    """

    channels: int = 16
    cells: int = 5
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10

    name: ClassVar[str] = "nasbench201"
    proxy_sizes: ClassVar[Mapping[str, int]] = {"cells": 1, "channels": 16}
    default_estimator: ClassVar[str] = "fit_path"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS

    def __post_init__(self) -> None:
        settle_sizes(self)
        height, width, _ = self.input_shape
        if min(height, width) < 4 or height % 4 or width % 4:
            raise InputError(
                f"images are {height} x {width} pixels: the NAS-Bench-201 space halves its maps twice; "
                "give an image size that is a multiple of 4"
            )

    @property
    def lower(self) -> Int[np.ndarray, " genes"]:
        """Smallest value of each gene: 0."""
        return np.zeros(len(EDGES), np.int32)

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene: the last operation."""
        return np.full(len(EDGES), len(OPERATIONS) - 1, np.int32)

    @property
    def stages(self) -> tuple[tuple[int, int, int], ...]:
        """Height, width and channels of the feature maps inside each stage."""
        height, width, _ = self.input_shape
        return tuple((height >> s, width >> s, self.channels << s) for s in range(STAGES))

    def sample(self, key: jax.Array, n: int) -> Int[Array, "n genes"]:
        """`n` genomes, every operation equally likely on every edge.

        Args:
            key: a random key.
            n: how many genomes.
        """
        return jax.random.randint(key, (n, len(EDGES)), 0, len(OPERATIONS), jnp.int32)

    def canonical(self, genomes: Genomes) -> Any:
        """The cheapest cell of the same network; 5,260 networks are different, the dead one among them.

        The representative drops convolutions that read or feed nothing: its `macs` and `params` may be lower than the
        genome's, never higher. Networks count as the same up to the names of their kernels; that a pool of a sum is the
        sum of pools is not used.

        The published count is 6,466 [1]. It compares texts, which keeps equal networks apart (a zero term stays in its
        sum) and merges different ones (one convolution read twice, and two convolutions of the same source).

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        genomes = check_genomes(self, genomes)
        xp = np if isinstance(genomes, np.ndarray) else jnp
        places = len(OPERATIONS) ** np.arange(len(EDGES) - 1, -1, -1)
        return xp.asarray(_canonical_cells())[(genomes * places).sum(-1)]

    def macs(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Multiply-adds of the convolutions and the linear layer for one image; norms, pools and bias are free.

        Every convolution that is written counts, as in the benchmark, also one that reads or feeds nothing.

        Args:
            genomes: (n, genes) int32, a population; numpy or JAX.
        """
        genomes = check_genomes(self, genomes)
        taps = self._taps(genomes)
        height, width, channels = self.stages[0]
        total = np.full(len(taps), height * width * 9 * self.input_shape[2] * channels, np.int64)
        for s, (height, width, channels) in enumerate(self.stages):
            total += self.cells * height * width * channels**2 * taps
            if s:
                total += height * width * _residual_weights(channels)
        return total + self.stages[-1][2] * self.classes

    def params(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Every parameter: convolutions, scale and bias of the norms, the linear layer with its bias."""
        genomes = check_genomes(self, genomes)
        taps = self._taps(genomes)
        norms = np.isin(genomes, (CONV_1X1, CONV_3X3)).sum(-1)
        total = np.full(len(taps), 9 * self.input_shape[2] * self.channels + 2 * self.channels, np.int64)
        for s, (_, _, channels) in enumerate(self.stages):
            total += self.cells * (channels**2 * taps + 2 * channels * norms)
            if s:
                total += _residual_weights(channels) + 2 * 2 * channels
        last = self.stages[-1][2]
        return total + 2 * last + (last + 1) * self.classes

    def counts(self, genomes: Genomes) -> Counts:
        """How often each operation stands in the cell, paths through it, and their most and fewest convolutions.

        Args:
            genomes: (n, genes) int32, a canonical population; see `rwejax.spaces.counts`.

        Returns:
            The operations by name; `paths`, how many lead from input to output; `depth` and `shortest`, the
            convolutions on the paths with the most and the fewest, 0 where there is no path.
        """
        genomes = np.asarray(genomes)
        edges = np.zeros((2, len(genomes), NODES, NODES))
        node, source = np.array(EDGES).T
        edges[:, :, node, source] = np.stack([genomes != NONE, np.isin(genomes, (CONV_1X1, CONV_3X3))])
        there, steps = edges[0] > 0, edges[1]
        most, fewest = (sign * longest_paths(np.where(there, sign * steps, -np.inf))[:, -1] for sign in (1, -1))
        return {
            **occurrences(genomes, OPERATIONS),
            "paths": np.linalg.inv(np.eye(NODES) - there)[:, -1, 0].round().astype(int),
            "depth": np.where(np.isfinite(most), most, 0).astype(int),
            "shortest": np.where(np.isfinite(fewest), fewest, 0).astype(int),
        }

    def _taps(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Weights of a cell's convolutions, in units of channels squared."""
        return np.choose(np.asarray(genomes), (0, 0, 1, 9, 0)).sum(-1, dtype=np.int64)

    def to_string(self, genome: Any) -> str:
        """The benchmark's text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        nodes: list[str] = [""] * (NODES - 1)
        for (node, source), gene in zip(EDGES, check_genome(self, genome), strict=True):
            nodes[node - 1] += f"{OPERATIONS[int(gene)]}~{source}|"
        return "+".join("|" + node for node in nodes)

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """Read the benchmark's text.

        Args:
            text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, each op one of `OPERATIONS`; or as lists or tuples, for each
                node the pairs (operation, node that it reads); or as NATS-Bench's 4 x 4 matrix of the operations'
                numbers, a row the node that reads.

        Raises:
            InputError: a node, an edge or an operation is missing, too many or unknown; it says which.
        """
        try:
            found = _read_lists(text) if set("[(") & set(text) else _read_bars(text.strip())
        except ValueError as error:
            refuse(self.name, text, str(error), _FORM)
        return np.array(found, np.int32)


def _read_bars(text: str) -> list[int]:
    if text.isdecimal():
        raise ValueError(
            ": an index number names a line of NATS-Bench's own file, which other files have in another order; give "
            "the text that its arch(index) returns"
        )
    nodes = text.split("+")
    if len(nodes) != NODES - 1:
        raise ValueError(f" has {len(nodes)} nodes: {NODES - 1} joined by + are needed")
    genome: list[int] = []
    for node, part in enumerate(nodes, 1):
        edges = part[1:-1].split("|")
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            raise ValueError(f": node {node} is {quoted(part)}, not edges between bars |")
        if len(edges) != node:
            raise ValueError(f": node {node} has {len(edges)} edges instead of {node}")
        for source, edge in enumerate(edges):
            operation, _, written = edge.rpartition("~")
            if operation not in OPERATIONS or written != str(source):
                raise ValueError(
                    f": edge {len(genome) + 1}, from node {source} to node {node}, is {quoted(edge)}, not one of "
                    f"{', '.join(OPERATIONS)} and then ~{source}"
                )
            genome.append(OPERATIONS.index(operation))
    return genome


def _read_lists(text: str) -> list[int]:
    try:
        nodes = literals.parse(text)
    except ValueError as error:
        raise ValueError(f" {error}") from error
    if isinstance(nodes, literals.Call) or not isinstance(nodes, list | tuple):
        raise ValueError(" is no list of nodes")
    if nodes and all(isinstance(gene, int | float) for gene in nodes):
        raise ValueError(
            ": a row of numbers says neither in which order the edges come nor which operation has which number, and "
            "tools differ in both; name the operations"
        )
    if len(nodes) == NODES and all(_is_row(row) for row in nodes):
        return _of_matrix(nodes)
    if len(nodes) != NODES - 1:
        raise ValueError(f" has {len(nodes)} nodes: {NODES - 1} are needed")
    return [operation for node, edges in enumerate(nodes, 1) for operation in _of_node(node, edges)]


def _is_row(row: Any) -> bool:
    return isinstance(row, list | tuple) and len(row) == NODES and all(isinstance(each, int | float) for each in row)


def _of_matrix(rows: Sequence[Any]) -> list[int]:
    for node, row in enumerate(rows):
        for source, value in enumerate(row):
            if source >= node and value != 0:
                raise ValueError(f": row {node + 1} has {value} in column {source + 1}, where no edge can be")
            if value not in range(len(OPERATIONS)):
                raise ValueError(f": row {node + 1} has {value} in column {source + 1}, not 0 to {len(OPERATIONS) - 1}")
    return [int(rows[node][source]) for node, source in EDGES]


def _of_node(node: int, edges: Any) -> list[int]:
    if not isinstance(edges, list | tuple) or isinstance(edges, literals.Call) or len(edges) != node:
        raise ValueError(f": node {node} is not {node} pairs ('operation', node that it reads)")
    found: dict[int, int] = {}
    for edge in edges:
        if not isinstance(edge, list | tuple) or len(edge) != 2 or edge[0] not in OPERATIONS:
            raise ValueError(
                f": node {node} has {quoted(str(edge))}, not one of {', '.join(OPERATIONS)} and the node that it reads"
            )
        if type(edge[1]) is not int or not 0 <= edge[1] < node or edge[1] in found:
            raise ValueError(f": node {node} reads {quoted(str(edge[1]))}, where each of 0 to {node - 1} is read once")
        found[edge[1]] = OPERATIONS.index(edge[0])
    return [found[source] for source in range(node)]


def _residual_weights(channels: int) -> int:
    """Weights of the convolutions of a residual block that doubles to `channels`; all work on the halved map."""
    half = channels // 2
    return 9 * half * channels + 9 * channels**2 + half * channels


def _nodes(cell: Cell, numbers: Sequence[int]) -> list[tuple]:
    """What each node sums: sorted terms (operation, number of the edge's kernel, what it reads); nothing if it is dead.

    A skip hands on its source's terms, `none` and the edges of dead nodes none.
    """
    nodes: list[tuple] = [((SKIP, 0, ()),)]
    edges = iter(zip(cell, numbers, strict=True))
    for node in range(1, NODES):
        total: list[tuple] = []
        for source, (operation, number) in zip(nodes, itertools.islice(edges, node), strict=True):
            if operation == SKIP:
                total += source
            elif operation != NONE and source:
                total.append((operation, number, source))
        nodes.append(tuple(sorted(total)))
    return nodes


def _network(cell: Cell) -> tuple:
    """The output's terms, in one writing for all cells of the same network.

    Kernels must be told apart, or one convolution that is read twice would equal two convolutions of one source. Only
    convolutions of the same kind and source could be exchanged, so only these are numbered, and the smallest of all
    numberings is the writing. Two pools of one source are one function and need no number.
    """
    plain = _nodes(cell, [0] * len(cell))
    alike: dict[tuple, list[int]] = {}
    for edge, (_, source) in enumerate(EDGES):
        if cell[edge] in (CONV_1X1, CONV_3X3):
            alike.setdefault((cell[edge], plain[source]), []).append(edge)
    writings = []
    for orders in itertools.product(*(itertools.permutations(range(len(edges))) for edges in alike.values())):
        numbers = [0] * len(cell)
        for edges, order in zip(alike.values(), orders, strict=True):
            for edge, number in zip(edges, order, strict=True):
                numbers[edge] = number
        writings.append(_nodes(cell, numbers)[-1])
    return min(writings)


@cache
def _canonical_cells() -> Int[np.ndarray, "cells edges"]:
    """The representative of every cell, the cells in the order of their genes read as one number."""
    cells = list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))
    networks = [_network(cell) for cell in cells]
    cost = [9 * cell.count(CONV_3X3) + cell.count(CONV_1X1) for cell in cells]
    cheapest: dict[tuple, int] = {}
    for code in sorted(range(len(cells)), key=cost.__getitem__):
        cheapest.setdefault(networks[code], code)
    return np.array(cells, np.int32)[[cheapest[network] for network in networks]]
