"""The NAS-Bench-201 space."""

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from rwejax.networks.kernels import Kernels
from rwejax.spaces import NASBench201

from .layers import AveragePool, Tree, convolution, norm
from .network import Network

_SOURCES = ((0,), (0, 1), (0, 1, 2))  # of nodes 1, 2 and 3; each is an edge, and an edge is a gene


class Cell(nn.Module):
    """Edges between four nodes; an edge that is not there is None."""

    def __init__(self, edges: list[nn.Module | None]) -> None:
        super().__init__()
        self.there = [edge is not None for edge in edges]
        self.edges = nn.ModuleList(edge or nn.Identity() for edge in edges)

    def forward(self, x: Tensor) -> Tensor:
        """From the first node to the last."""
        nodes, edges = [x], iter(zip(self.there, self.edges, strict=True))
        for sources in _SOURCES:
            terms = [edge(nodes[source]) for source, (there, edge) in zip(sources, edges, strict=False) if there]
            nodes.append(sum(terms[1:], terms[0]) if terms else x.new_zeros(()).expand_as(x))
        return nodes[-1]


class Residual(nn.Module):
    """Between stages: two convolutions beside a pooled shortcut."""

    def __init__(self, weights: Tree) -> None:
        super().__init__()
        shortcut, first, second = (weights[f"Convolution_{i}"]["kernel"][0] for i in range(3))
        self.layers = nn.Sequential(*_rectified(first, 2), *_rectified(second, 1))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), convolution(shortcut))

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        return self.layers(x) + self.shortcut(x)


class NASBench201Network(Network):
    """A genome of the NAS-Bench-201 space, given as a row of its own in canonical form."""

    def __init__(self, space: NASBench201, genomes: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (height, width, channels) in enumerate(space.stages, 1):
            if number == 1:
                stem = kernels["enter1"]["stem"]["Convolution_0"]["kernel"][0]
                layers += [convolution(stem, padding=1), norm(channels)]
            else:
                layers.append(Residual(kernels[f"enter{number}"]["residual"]))
            for cell in range(space.cells):
                edges: list[nn.Module | None] = []
                for edge, op in enumerate(genomes[0].tolist()):
                    name = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")[op]
                    if name.startswith("nor_conv"):
                        kernel = kernels[f"stage{number}"][name]["Convolution_0"]["kernel"]
                        edges.append(nn.Sequential(*_rectified(kernel[len(genomes[0]) * cell + edge], 1)))
                    elif name == "avg_pool_3x3":
                        edges.append(AveragePool(channels, 1, height, width))
                    else:
                        edges.append(nn.Identity() if name == "skip_connect" else None)
                layers.append(Cell(edges))
        self.layers = nn.Sequential(*layers, norm(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        return functional.relu_(self.layers(images)).mean((2, 3))


def _rectified(kernel: np.ndarray, stride: int) -> list[nn.Module]:
    """ReLU, a convolution, normalisation."""
    return [nn.ReLU(), convolution(kernel, stride, padding=len(kernel) // 2), norm(kernel.shape[-1])]
