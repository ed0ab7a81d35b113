"""The cell spaces, micro and DARTS, on the executor: operations, groups, and the rows of genomes.

A cell's output is the concatenation of blocks; it is never built, because the only thing that reads it is the 1x1
convolution in front of a later cell, a sum over the blocks.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rwejax.networks import gradients
from rwejax.networks import plain_operations as plain
from rwejax.networks.builder import Builder
from rwejax.networks.convolutions import average_pool, features, max_pool
from rwejax.networks.forms import SHARED, Writer
from rwejax.networks.forms import average_pool as write_average_pool
from rwejax.networks.lowering import Lowering
from rwejax.networks.modules import (
    Halve,
    Images,
    Norm,
    Normalise,
    Quarter,
    Sources,
    Stem,
    Sum,
    convolution,
    convolved,
    depthwise,
    pointwise,
    relu,
    show_relus,
)
from rwejax.networks.program import ABSENT, Group, Kind, Network
from rwejax.spaces import CellSpace


class Project(nn.Module):
    """ReLU, 1x1 convolution of all sources, normalisation; stride 2 takes half of the channels from shifted pixels."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Project the concatenated sources."""
        names = ("blocks",) if self.stride == 1 else ("blocks_even", "blocks_odd")
        products, kernels = zip(
            *[pointwise(self, sources, self.channels // self.stride, name) for name in names], strict=True
        )

        def project(maps: list[Images], blocks: Int[Array, " count"], *kernels: Array) -> Images:
            shifted = zip(*[gradients.diagonals(nn.relu(x), self.stride) for x in maps], strict=True)
            parts = zip(products, map(list, shifted), kernels, strict=True)
            return jnp.concatenate([product(each, blocks, kernel) for product, each, kernel in parts], -1)

        show_relus(self, sources)
        x = convolved(self, sources.add_up(project, *kernels))
        return Normalise()(x, norm)


class Separable(nn.Module):
    """ReLU, depthwise and pointwise convolution, normalisation, once or twice; the stride is the first one's."""

    channels: int
    size: int
    stride: int
    times: int = 2
    dilation: int = 1

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        x = sources[0]
        for stride in (self.stride, 1)[: self.times]:
            x = depthwise(self.channels, self.size, stride, self.dilation)(relu(self, x))
            x = Normalise()(convolution(self.channels)(x), norm)
        return x


class Factorised(nn.Module):
    """ReLU, convolution 1x7, convolution 7x1, normalisation."""

    channels: int
    stride: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Convolve the source."""
        x = convolution(self.channels, (1, 7), (1, self.stride))(relu(self, sources[0]))
        return Normalise()(convolution(self.channels, (7, 1), (self.stride, 1))(x), norm)


class Pool(nn.Module):
    """A padded 3x3 pool."""

    largest: bool
    stride: int

    def __call__(self, sources: Sources, norm: Norm) -> Images:
        """Pool the source."""
        return (max_pool if self.largest else average_pool)(sources[0], 3, self.stride, 1)


class Output(nn.Module):
    """`pool` x `pool` features a channel of the concatenated blocks, zero for blocks that are not there."""

    pool: int

    @nn.compact
    def __call__(self, sources: Sources, norm: Norm) -> Float[Array, "images features"]:
        """Pool the blocks."""

        def pooled(maps: list[Images], blocks: Int[Array, " count"]) -> Array:
            found = jnp.stack([features(x, self.pool) for x in maps])
            return jnp.zeros((sources.arity, *found.shape[1:]), found.dtype).at[blocks].add(found)

        blocks = jnp.moveaxis(sources.add_up(pooled), 0, 1)
        return blocks.reshape(blocks.shape[0], -1)


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """The module of an operation that has one: all but `none`, and `skip_connect` at stride 1.

    Args:
        name: one of the space's `operations`.
        channels: of its result.
        stride: height and width of what it reads over those of its result, 1 or 2.
    """
    modules = {
        "max_pool_3x3": Pool(True, stride),
        "avg_pool_3x3": Pool(False, stride),
        "skip_connect": Project(channels, stride),
        "sep_conv_3x3": Separable(channels, 3, stride),
        "sep_conv_5x5": Separable(channels, 5, stride),
        "sep_conv_7x7": Separable(channels, 7, stride),
        "dil_conv_3x3": Separable(channels, 3, stride, times=1, dilation=2),
        "dil_conv_5x5": Separable(channels, 5, stride, times=1, dilation=2),
        "conv_7x1_1x7": Factorised(channels, stride),
    }
    return modules[name]


class _Stage(NamedTuple):
    """Cells of one resolution.

    Attributes:
        name: of the buffer of its maps.
        cells: their positions in the network.
        entry: buffer of the first cell's preprocessed inputs, of the resolution before where that cell reduces.
        before: buffers of the outputs of the two cells before the first one.
    """

    name: str
    cells: tuple[int, ...]
    entry: str
    before: tuple[str, str]

    @property
    def projections(self) -> list[tuple[str, str, int, int]]:
        """Inputs that come from another buffer: source and target buffer, cell, and which input it is."""
        first = [(source, self.entry, self.cells[0], i) for i, source in enumerate(self.before)]
        return first + [(self.before[1], self.name, cell, 0) for cell in self.cells[1:2]]


def _stem(space: CellSpace) -> list[tuple[str, int, Any]]:
    """What comes before the cells: buffers, the share of the image's height and width that they have, and modules."""
    if space.stem == "cifar":
        return [("stem", 1, Stem(3 * space.channels))]
    return [("stem1", 4, Quarter(space.channels)), ("stem2", 8, Halve(space.channels))]


def _stages(space: CellSpace) -> list[_Stage]:
    starts = [place for place, cell in enumerate(space.layout) if cell.reduction or place == 0]
    stages: list[_Stage] = []
    stems = [name for name, _, _ in _stem(space)]
    written = [stems[0], stems[-1]]
    for s, (start, end) in enumerate(zip(starts, [*starts[1:], len(space.layout)], strict=True)):
        name = f"stage{s + 1}"
        entry = f"reduce{s + 1}" if s else name
        stages.append(_Stage(name, tuple(range(start, end)), entry, (written[-2], written[-1])))
        written += [name] * (end - start)
    return stages


def network(space: CellSpace, pool: int) -> Network:
    """For each stage: the projections that enter it, the operations that reduce, and all other operations and sums.

    Args:
        space: the micro or the darts space.
        pool: the last map becomes `pool` x `pool` features a channel.
    """
    branches = 2 * space.blocks
    buffers: dict[str, tuple[int, ...]] = {"images": space.input_shape}
    groups = []
    source = "images"
    for name, divisor, module in _stem(space):
        height, width = (length // divisor for length in space.input_shape[:2])
        buffers[name] = (height, width, module.channels)
        groups.append(Group(name, (("stem", Kind(module)),), 1, 1, source, name))
        source = name
    for stage in _stages(space):
        first = space.layout[stage.cells[0]]
        channels, cells = first.channels, len(stage.cells)
        buffers |= {stage.name: (first.height, first.width, channels)}
        if first.reduction:
            buffers |= {stage.entry: (2 * first.height, 2 * first.width, channels)}
        ends = [(source, target) for source, target, _, _ in stage.projections]
        for source, target in dict.fromkeys(ends):
            project = Kind(Project(channels, buffers[source][0] // buffers[target][0]), 2 * cells)
            arity = 1 if source.startswith("stem") else space.blocks
            rows = ends.count((source, target))
            groups.append(Group(f"{source}_{target}", (("project", project),), rows, arity, source, target))
        if first.reduction:
            kinds = _operations(space, channels, 2, branches)
            groups.append(Group(stage.entry, kinds, branches, 1, stage.entry, stage.name))
        kinds = _operations(space, channels, 1, cells * branches)
        kinds += (("sum", Kind(Sum(always_two=True))), ("project", Kind(Project(channels), 2 * cells)))
        rows = cells * (branches + space.blocks + 2)
        groups.append(Group(stage.name, kinds, rows, space.blocks, stage.name, stage.name))
    buffers |= {"features": (space.blocks * pool**2 * channels,)}
    groups.append(Group("output", (("output", Kind(Output(pool))),), 1, space.blocks, stage.name, "features"))
    return Network(tuple(groups), buffers)


def _operations(space: CellSpace, channels: int, stride: int, slots: int) -> tuple[tuple[str, Kind], ...]:
    """The operations that are rows, at their codes' positions; `skip_connect` at stride 1 is its source."""
    unused = {"skip_connect"} if stride == 1 else set()
    return tuple(
        (name, Kind(operation(name, channels, stride), slots, branch=True, unused=name in unused))
        for name in space.operations
        if name != "none"
    )


def add_rows(space: CellSpace, genomes: Int[np.ndarray, "n genes"], builder: Builder) -> Int[np.ndarray, " n"]:
    """Add the rows of genomes and return each genome's row of features.

    Args:
        space: the space of the genomes.
        genomes: (n, genes) int32; canonical forms have the most rows in common.
        builder: collects the rows.
    """
    genes = space.decode(genomes)
    rows = np.zeros(len(genomes), int)
    outputs = []  # of each cell, the two inputs of the first one before them
    for name, _, _ in _stem(space):
        rows = builder.add(name, "stem", 0, rows)
        outputs.append([rows])
    outputs = [outputs[0], outputs[-1]]
    for stage in _stages(space):
        start = stage.cells[0]
        projected = {
            (cell, i): builder.add(f"{source}_{target}", "project", 2 * (cell - start) + i, *outputs[cell + i])
            for source, target, cell, i in stage.projections
        }
        for cell in stage.cells:
            inputs = [
                projected[cell, i]
                if (cell, i) in projected
                else builder.add(stage.name, "project", 2 * (cell - start) + i, *outputs[cell + i])
                for i in range(2)
            ]
            kind = int(space.layout[cell].reduction)
            blocks = _add_cell(space, builder, stage, cell, genes.ops[:, kind], genes.inputs[:, kind], inputs)
            outputs.append([np.where(genes.outputs[:, kind, b], row, ABSENT) for b, row in enumerate(blocks)])
    return builder.add("output", "output", 0, *outputs[-1])


def _add_cell(
    space: CellSpace,
    builder: Builder,
    stage: _Stage,
    cell: int,
    ops: Int[np.ndarray, "n blocks 2"],
    reads: Int[np.ndarray, "n blocks 2"],
    inputs: list[Int[np.ndarray, " n"]],
) -> list[Int[np.ndarray, " n"]]:
    """Add the operations and sums of a cell, and return the row of each block."""
    first_slot = 2 * space.blocks * (cell - stage.cells[0])

    def add(group: str, b: int, i: int, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        slot = 2 * b + i + (first_slot if group == stage.name else 0)
        return builder.add(group, ops[:, b, i], slot, rows)

    branches = [(b, i) for b in range(space.blocks) for i in range(2)]
    reduction = space.layout[cell].reduction
    absent = np.full(len(ops), ABSENT)
    none = np.isin(ops, [code for code, name in enumerate(space.operations) if name == "none"])
    skip = ops == space.operations.index("skip_connect")
    strided = {}
    if reduction:
        for b, i in branches:
            rows = np.choose(np.minimum(reads[:, b, i], 2), [*inputs, absent])
            strided[b, i] = add(stage.entry, b, i, np.where(none[:, b, i], ABSENT, rows))
    rows = [absent, absent] if reduction else list(inputs)
    for b in range(space.blocks):
        values = []
        for i in range(2):
            row = np.take_along_axis(np.stack(rows), reads[None, :, b, i], 0)[0]
            row = np.where(none[:, b, i], ABSENT, row)
            value = np.where(skip[:, b, i], row, add(stage.name, b, i, np.where(skip[:, b, i], ABSENT, row)))
            values.append(np.where(value == ABSENT, strided[b, i], value) if reduction else value)
        rows.append(builder.add_sum(stage.name, *values))
    return rows[2:]


def _part(space: CellSpace, group: Group, kind: str, slot: int) -> str | None:
    """The cell of a row; sums, which have no slots of their own, are where their terms are."""
    stage = next((each for each in _stages(space) if group.target in (each.name, each.entry)), None)
    if stage is None or kind == "sum":
        return None if stage else group.name
    reduces = group.name == stage.entry != stage.name  # in the first cell alone
    cell = stage.cells[0] + (0 if reduces else slot // (2 if kind == "project" else 2 * space.blocks))
    return f"{'reduction' if space.layout[cell].reduction else 'cell'} {cell + 1}"


def _write_pool(module: Pool, writer: Writer) -> str:
    (x,) = writer.maps
    if module.largest:
        return f"nn.max_pool({x}, (3, 3), ({module.stride}, {module.stride}), ((1, 1), (1, 1)))"
    return write_average_pool(x, module.stride)


def _write_output(module: Output, writer: Writer) -> str:
    return writer.pooled(f"jnp.concatenate([{', '.join(writer.maps)}], -1)", module.pool)


LOWERING = Lowering(
    network,
    add_rows,
    {
        **SHARED,
        Project: plain.Project,
        Separable: plain.Separable,
        Factorised: plain.Factorised,
        Pool: _write_pool,
        Output: _write_output,
    },
    _part,
)
