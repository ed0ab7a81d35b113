"""The macro and the micro space in PyTorch: what `rwejax` is measured against, and checked against.

Kernels come from `rwejax.networks.initialise`, so that both sides compute the same features; the forward pass and the
normalisation statistics are PyTorch's own. A network has the parts that its genome uses, and no others.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rwejax.networks.executor import Kernels
from rwejax.spaces import Macro, Micro, Space

Maps = dict[int, Tensor]
Tree = Mapping[str, Any]


class Network(nn.Module):
    """One genome's network, from images to pooled features, in eval mode and channels_last."""

    @torch.inference_mode()
    def calibrate(self, images: Tensor) -> None:
        """Take the normalisation statistics of these images, layer by layer, as constants."""

        def take(norm: nn.BatchNorm2d, arguments: tuple[Tensor]) -> None:
            norm.running_var, norm.running_mean = torch.var_mean(arguments[0], (0, 2, 3), correction=0)

        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        hooks = [norm.register_forward_pre_hook(take) for norm in norms]
        self(images)
        for hook in hooks:
            hook.remove()

    def fused(self) -> Self:
        """A copy with normalisation folded into a convolution before it; only rounding changes in the features."""
        network = copy.deepcopy(self)
        for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
            for i in reversed(range(1, len(layers))):
                convolution, norm = layers[i - 1], layers[i]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[i - 1] = fuse_conv_bn_eval(convolution, norm)
                    del layers[i]
        return network.to(memory_format=torch.channels_last)


def build(space: Space, genome: np.ndarray, kernels: Kernels) -> Network:
    """The network of a genome.

    Args:
        space: macro or micro.
        genome: decoded in its canonical form, as the evaluator does.
        kernels: those of every slot, as `rwejax.networks.initialise` draws them.
    """
    return {"macro": MacroNetwork, "micro": MicroNetwork}[space.name](space, genome, kernels)


class Block(nn.Module):
    """A node, or a phase's output: mix the sources, perhaps convolve, normalise, ReLU.

    Args:
        sources: the maps that are read, 0 for the phase's entry.
        mix: the slot's 1x1 kernels, one for each possible source.
        kernel: the 3x3 kernel; an output has none.
    """

    def __init__(self, sources: list[int], mix: np.ndarray, kernel: np.ndarray | None = None) -> None:
        super().__init__()
        self.sources = sources
        layers: list[nn.Module] = []
        if len(sources) > 1:
            layers.append(_pointwise(mix, sources))
        if kernel is not None:
            layers.append(_convolution(kernel, padding=1))
        self.layers = nn.Sequential(*layers, _norm(mix.shape[-1]))

    def forward(self, maps: Maps) -> Tensor:
        """Read from the maps of the phase."""
        return functional.relu_(self.layers(_concatenated([maps[source] for source in self.sources])))


class Phase(nn.Module):
    """Entry, the nodes that are not dropped, output."""

    def __init__(
        self, inputs: np.ndarray, outputs: np.ndarray, entry: Kernels, nodes: Kernels, output: Kernels
    ) -> None:
        super().__init__()
        self.entry = _convolution(entry["entry"]["Convolution_0"]["kernel"][0])
        self.numbers = [node + 1 for node in range(len(inputs)) if inputs[node].any()]
        self.nodes = nn.ModuleList(
            Block(
                np.flatnonzero(inputs[number - 1]).tolist(),
                nodes["node"]["Mix_0"]["blocks"][number - 1],
                nodes["node"]["Convolution_0"]["kernel"][number - 1],
            )
            for number in self.numbers
        )
        self.output = Block(np.flatnonzero(outputs).tolist(), output["output"]["Mix_0"]["blocks"][0])

    def forward(self, x: Tensor) -> Tensor:
        """From the phase's input to its output, before pooling."""
        maps = {0: self.entry(x)}
        for number, node in zip(self.numbers, self.nodes, strict=True):
            maps[number] = node(maps)
        return self.output(maps)


class MacroNetwork(Network):
    """A genome of the macro space; the arguments are those of `build`."""

    def __init__(self, space: Macro, genome: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        kernels = jax.tree.map(np.asarray, kernels)
        wiring = space.wiring(space.canonical(np.asarray(genome)[None]))
        self.phases = nn.ModuleList(
            Phase(
                wiring.inputs[0, p],
                wiring.outputs[0, p],
                *(kernels[f"{group}{p + 1}"] for group in ("entry", "nodes", "output")),
            )
            for p in range(len(space.maps))
        )
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        *before, last = self.phases
        for phase in before:
            images = functional.max_pool2d(phase(images), 2)
        return last(images).mean((2, 3))


class MaxPool(nn.Module):
    """A padded 3x3 max pool as maxima of shifted maps, several times faster on large maps than PyTorch's own."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Along the rows, then along the columns."""
        x = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
        for axis in (2, 3):
            span = x.shape[axis] - 2
            before, here, after = (x[(slice(None),) * axis + (slice(k, k + span, self.stride),)] for k in range(3))
            x = torch.maximum(before, here)
            torch.maximum(x, after, out=x)
        return x


class AveragePool(nn.Module):
    """A padded 3x3 average pool as a depthwise convolution of ones, several times faster than PyTorch's own.

    Args:
        channels: channels of the map.
        stride: 1 or 2.
        height: height of the result.
        width: width of the result.
    """

    def __init__(self, channels: int, stride: int, height: int, width: int) -> None:
        super().__init__()
        self.add_up = _convolution(np.ones((3, 3, 1, channels), np.float32), stride, padding=1, groups=channels)
        pixels = self.add_up(torch.ones(1, channels, stride * height, stride * width))
        self.register_buffer("share", 1 / pixels)  # the padding is left out of the mean

    def forward(self, x: Tensor) -> Tensor:
        """Add up, and divide by the pixels that are there."""
        return self.add_up(x).mul_(self.share)


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
        outputs: blocks that nothing in the cell reads.
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
        if (source, False) in self.reads:
            maps[source, False] = x
        if (source, True) in self.reads:
            maps[source, True] = functional.relu(x) if (source, False) in self.reads else functional.relu_(x)


class MicroNetwork(Network):
    """A genome of the micro space, without the cells that no path leads through; the arguments are those of `build`."""

    def __init__(self, space: Micro, genome: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        kernels = jax.tree.map(np.asarray, kernels)
        cells = space.decode(space.canonical(np.asarray(genome)[None]))
        outputs = [np.flatnonzero(kept).tolist() for kept in cells.outputs[0]]
        stem = _slot(kernels["stem"]["stem"], 0)["Convolution_0"]["kernel"]
        self.stem = nn.Sequential(_convolution(stem, padding=1), _norm(stem.shape[-1]))
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
                projections[i] = _project(_slot(weights, 2 * (place - first) + i), blocks, stride)
            pairs = []
            for b in range(space.blocks):
                pair = []
                for i, (op, source) in enumerate(zip(ops[b].tolist(), reads[b].tolist(), strict=True)):
                    name, stride = space.operations[op], 2 if shape.reduction and source < 2 else 1
                    number = 2 * b + i + (2 * space.blocks * (place - first) if stride == 1 else 0)
                    weights = _slot(kernels[entry if stride == 2 else group].get(name, {}), number)
                    layers = _operation(name, weights, stride, shape.channels, shape.height, shape.width)
                    rectified = bool(layers) and "pool" not in name
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
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        maps = dict.fromkeys((-2, -1), functional.relu_(self.stem(images)))
        for place, cell in zip(self.places, self.cells, strict=True):
            outputs = cell([maps.get(place - 2), maps.get(place - 1)])
            if place < self.places[-1]:
                maps[place] = functional.relu_(_concatenated(outputs))
        pooled = [x.mean((2, 3)) for x in outputs]
        for block in self.absent:
            pooled.insert(block, torch.zeros_like(pooled[0]))
        return torch.cat(pooled, 1)


def _operation(name: str, weights: Tree, stride: int, channels: int, height: int, width: int) -> list[nn.Module]:
    """The layers of an operation behind its first ReLU; height and width are those of the result."""
    if name == "max_pool_3x3":
        return [MaxPool(stride)]
    if name == "avg_pool_3x3":
        return [AveragePool(channels, stride, height, width)]
    if name == "skip_connect":
        return [] if stride == 1 else _project(weights, [0], 2)
    kernels = [weights[f"Convolution_{i}"]["kernel"] for i in range(len(weights))]
    if name == "conv_7x1_1x7":
        row, column = kernels
        return [
            _convolution(row, (1, stride), padding=(0, 3)),
            _convolution(column, (stride, 1), padding=(3, 0)),
            _norm(channels),
        ]
    dilation = 2 if name.startswith("dil") else 1
    padding = dilation * (len(kernels[0]) // 2)
    layers: list[nn.Module] = []
    for depthwise, pointwise in zip(kernels[::2], kernels[1::2], strict=True):
        layers += [nn.ReLU(inplace=True)] if layers else []
        layers += [
            _convolution(depthwise, 1 if layers else stride, padding, dilation, channels),
            _convolution(pointwise),
            _norm(channels),
        ]
    return layers


def _project(weights: Tree, sources: list[int], stride: int) -> list[nn.Module]:
    """A 1x1 convolution of the blocks of a cell's output, which may halve height and width, and its normalisation."""
    names = ["blocks"] if stride == 1 else ["blocks_even", "blocks_odd"]
    kernels = [weights[name] for name in names]
    convolution = _pointwise(np.concatenate(kernels, -1), sources, groups=stride)
    return [*([Halves()] if stride == 2 else []), convolution, _norm(convolution.out_channels)]


def _pointwise(blocks: np.ndarray, sources: list[int], groups: int = 1) -> nn.Conv2d:
    """The 1x1 convolution of concatenated sources, which are those of its kernel's (inputs, outputs) blocks."""
    # The blocks of the sources that are read, one below the other, are the kernel of their concatenation.
    kernel = blocks[sources] / np.sqrt(len(sources), dtype=np.float32)
    return _convolution(kernel.reshape(1, 1, -1, kernel.shape[-1]), groups=groups)


def _convolution(
    kernel: np.ndarray,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution with a kernel of (height, width, inputs of a group, outputs), as Flax has it."""
    height, width, inputs, outputs = kernel.shape
    convolution = nn.Conv2d(
        inputs * groups, outputs, (height, width), stride, padding, dilation=dilation, groups=groups, bias=False
    )
    convolution.weight = nn.Parameter(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), requires_grad=False)
    return convolution


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, affine=False)


def _concatenated(maps: Sequence[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(list(maps), 1)


def _slot(weights: Tree, number: int) -> Any:
    """The kernels of one slot."""
    return jax.tree.map(lambda kernel: kernel[number], weights)
