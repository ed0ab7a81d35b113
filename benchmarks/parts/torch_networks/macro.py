"""The macro space."""

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from rwejax.networks.kernels import Kernels
from rwejax.spaces import Macro

from .layers import concatenated, convolution, norm, pointwise
from .network import Network

Maps = dict[int, Tensor]


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
            layers.append(pointwise(mix, sources))
        if kernel is not None:
            layers.append(convolution(kernel, padding=1))
        self.layers = nn.Sequential(*layers, norm(mix.shape[-1]))

    def forward(self, maps: Maps) -> Tensor:
        """Read from the maps of the phase."""
        return functional.relu_(self.layers(concatenated([maps[source] for source in self.sources])))


class Phase(nn.Module):
    """Entry, the nodes that are not dropped, output."""

    def __init__(
        self, inputs: np.ndarray, outputs: np.ndarray, entry: Kernels, nodes: Kernels, output: Kernels
    ) -> None:
        super().__init__()
        self.entry = convolution(entry["entry"]["Convolution_0"]["kernel"][0])
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
    """A genome of the macro space, given as a row of its own in canonical form."""

    def __init__(self, space: Macro, genomes: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        wiring = space.wiring(genomes)
        self.phases = nn.ModuleList(
            Phase(
                wiring.inputs[0, p],
                wiring.outputs[0, p],
                *(kernels[f"{group}{p + 1}"] for group in ("entry", "nodes", "output")),
            )
            for p in range(len(space.maps))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        *before, last = self.phases
        for phase in before:
            images = functional.max_pool2d(phase(images), 2)
        return last(images).mean((2, 3))
