"""The micro and the DARTS space."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rwejax.networks.kernels import Kernels
from rwejax.spaces.cells import CellSpace

from .layers import AveragePool, MaxPool, Tree, Zero, concatenated, convolution, norm, pointwise, slot
from .network import Network


class Halves(nn.Module):
    """The even pixels, and on further channels the odd ones: what a factorised reduction's two convolutions read."""

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width."""
        return torch.cat([x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]], 1)


class Branch(nn.Module):
    """An operation on a map of the cell.

    Args:
        source: the map that is read: 0 and 1 are the cell's projected inputs, 2 the first block.
        rectified: whether ReLU comes first, which all that read a map share.
        layers: the operation; none is the identity.
    """

    def __init__(self, source: int, rectified: bool, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.reads = source, rectified
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: dict[tuple[int, bool], Tensor]) -> Tensor:
        """Read from the maps of the cell."""
        return self.layers(maps[self.reads])


class Cell(nn.Module):
    """A normal or a reduction cell.

    Args:
        projections: brings an input to the cell's channels, for each input that a block reads.
        blocks: the two branches of each block.
        outputs: blocks that the cell's output concatenates.
    """

    def __init__(
        self, projections: dict[int, list[nn.Module]], blocks: list[tuple[Branch, Branch]], outputs: list[int]
    ) -> None:
        super().__init__()
        self.inputs = list(projections)
        self.projections = nn.ModuleList(nn.Sequential(*layers) for layers in projections.values())
        self.branches = nn.ModuleList(branch for block in blocks for branch in block)
        self.outputs = outputs
        self.reads = {branch.reads for branch in self.branches}

    def forward(self, before: Sequence[Tensor]) -> list[Tensor]:
        """From the cells before, rectified, to the blocks of the output, which are not."""
        maps: dict[tuple[int, bool], Tensor] = {}
        outputs = []
        for source, project in zip(self.inputs, self.projections, strict=True):
            self._keep(maps, source, project(before[source]))
        pairs = zip(self.branches[::2], self.branches[1::2], strict=True)
        for number, (one, other) in enumerate(pairs):
            x, y = one(maps), other(maps)
            # What an operation has made belongs to nobody else; what the identity hands on is read by others.
            total = x.add_(y) if len(one.layers) else y.add_(x) if len(other.layers) else x + y
            self._keep(maps, 2 + number, total)
            if number in self.outputs:
                outputs.append(total)
        return outputs

    def _keep(self, maps: dict[tuple[int, bool], Tensor], source: int, x: Tensor) -> None:
        """Keep a map, and what ReLU makes of it, as far as a branch reads them."""
        as_it_is = (source, False) in self.reads or source - 2 in self.outputs
        if as_it_is:
            maps[source, False] = x
        if (source, True) in self.reads:
            maps[source, True] = functional.relu(x) if as_it_is else functional.relu_(x)


class CellNetwork(Network):
    """A genome of a space of cells, a row of its own in canonical form, without the cells that nothing reads."""

    def __init__(self, space: CellSpace, genomes: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        cells = space.decode(genomes)
        outputs = [np.flatnonzero(kept).tolist() for kept in cells.outputs[0]]
        stem = slot(kernels["stem"]["stem"], 0)["Convolution_0"]["kernel"]
        self.stem = nn.Sequential(convolution(stem, padding=1), norm(stem.shape[-1]))
        # What the two cells before a cell hand on: blocks, height, and the name of their stage.
        before = [([0], space.input_shape[0], "stem")] * 2
        built: list[Cell] = []
        stage, first = 1, 0
        for place, shape in enumerate(space.layout):
            if shape.reduction:
                stage, first = stage + 1, place
            group, kind = f"stage{stage}", int(shape.reduction)
            entry = f"reduce{stage}" if shape.reduction else group
            ops, reads = cells.ops[0, kind], cells.inputs[0, kind]
            projections = {}
            for i in np.intersect1d(reads, (0, 1)).tolist():
                blocks, height, source = before[i]
                weights = kernels[group if source == group else f"{source}_{entry}"]["project"]
                stride = height // (shape.height << kind)
                projections[i] = _project(slot(weights, 2 * (place - first) + i), blocks, stride)
            pairs = []
            for b in range(space.blocks):
                pair = []
                for i, (op, source) in enumerate(zip(ops[b].tolist(), reads[b].tolist(), strict=True)):
                    name, stride = space.operations[op], 2 if shape.reduction and source < 2 else 1
                    number = 2 * b + i + (2 * space.blocks * (place - first) if stride == 1 else 0)
                    weights = slot(kernels[entry if stride == 2 else group].get(name, {}), number)
                    layers = _operation(name, weights, stride, shape.channels, shape.height, shape.width)
                    rectified = bool(layers) and "pool" not in name and name != "none"
                    pair.append(Branch(source, rectified, layers))
                pairs.append((pair[0], pair[1]))
            built.append(Cell(projections, pairs, outputs[kind]))
            before = [before[1], (outputs[kind], shape.height, group)]
        needed = {len(built) - 1}
        for place in reversed(range(len(built))):
            if place in needed:
                needed |= {place - 2 + i for i in built[place].inputs}
        self.places = sorted(needed & set(range(len(built))))
        self.cells = nn.ModuleList(built[place] for place in self.places)
        self.absent = sorted(set(range(space.blocks)) - set(outputs[int(space.layout[-1].reduction)]))

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        maps = dict.fromkeys((-2, -1), functional.relu_(self.stem(images)))
        for place, cell in zip(self.places, self.cells, strict=True):
            outputs = cell([maps.get(place - 2), maps.get(place - 1)])
            if place < self.places[-1]:
                maps[place] = functional.relu_(concatenated(outputs))
        pooled = [x.mean((2, 3)) for x in outputs]
        for block in self.absent:
            pooled.insert(block, torch.zeros_like(pooled[0]))
        return torch.cat(pooled, 1)


def _operation(name: str, weights: Tree, stride: int, channels: int, height: int, width: int) -> list[nn.Module]:
    """The layers of an operation behind its first ReLU; height and width are those of the result."""
    if name == "max_pool_3x3":
        return [MaxPool(stride)]
    if name == "none":
        return [Zero(stride)]
    if name == "avg_pool_3x3":
        return [AveragePool(channels, stride, height, width)]
    if name == "skip_connect":
        return [] if stride == 1 else _project(weights, [0], 2)
    kernels = [weights[f"Convolution_{i}"]["kernel"] for i in range(len(weights))]
    if name == "conv_7x1_1x7":
        row, column = kernels
        return [
            convolution(row, (1, stride), padding=(0, 3)),
            convolution(column, (stride, 1), padding=(3, 0)),
            norm(channels),
        ]
    dilation = 2 if name.startswith("dil") else 1
    padding = dilation * (len(kernels[0]) // 2)
    layers: list[nn.Module] = []
    for spatial, across in zip(kernels[::2], kernels[1::2], strict=True):
        layers += [nn.ReLU(inplace=True)] if layers else []
        layers += [
            convolution(spatial, 1 if layers else stride, padding, dilation, channels),
            convolution(across),
            norm(channels),
        ]
    return layers


def _project(weights: Tree, sources: list[int], stride: int) -> list[nn.Module]:
    """A 1x1 convolution of the blocks of a cell's output, which may halve height and width, and its normalisation."""
    names = ["blocks"] if stride == 1 else ["blocks_even", "blocks_odd"]
    kernels = [weights[name] for name in names]
    convolution = pointwise(np.concatenate(kernels, -1), sources, groups=stride)
    return [*([Halves()] if stride == 2 else []), convolution, norm(convolution.out_channels)]
