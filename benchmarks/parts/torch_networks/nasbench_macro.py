"""The NAS-Bench-Macro space."""

import numpy as np
from torch import Tensor, nn

from rwejax.networks.kernels import Kernels
from rwejax.spaces import NASBenchMacro

from .layers import convolution, norm
from .network import Network


class Bottleneck(nn.Module):
    """An inverted bottleneck, with a residual where the shapes agree."""

    def __init__(self, kernels: list[np.ndarray], stride: int) -> None:
        super().__init__()
        widen, depthwise, narrow = kernels
        self.residual = widen.shape[2] == narrow.shape[3] and stride == 1
        self.layers = nn.Sequential(
            *_normalised(widen),
            nn.ReLU(inplace=True),
            *_normalised(depthwise, stride, groups=widen.shape[3]),
            nn.ReLU(inplace=True),
            *_normalised(narrow),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute one layer."""
        return self.layers(x) + x if self.residual else self.layers(x)


class NASBenchMacroNetwork(Network):
    """A genome of the NAS-Bench-Macro space, given as a row of its own in canonical form."""

    def __init__(self, space: NASBenchMacro, genomes: np.ndarray, kernels: Kernels) -> None:
        super().__init__()
        stem = kernels["stem"]["stem"]["Stem_0"]["Convolution_0"]["kernel"][0]
        layers = [*_normalised(stem), nn.ReLU(inplace=True)]
        stage = slot = 0
        for layer, op in zip(space.layers, genomes[0].tolist(), strict=True):
            stage, slot = (stage + 1, 0) if layer.stride == 2 else (stage, slot + 1)
            weights = kernels[f"halve{stage}" if layer.stride == 2 else f"stage{stage}"]
            name = ("identity", "mb3", "mb6")[op]
            number = max(slot - 1, 0)  # a stage's first layer has a group of its own
            if op:
                three = [weights[name][f"Convolution_{i}"]["kernel"][number] for i in range(3)]
                layers.append(Bottleneck(three, layer.stride))
            elif layer.stride == 2:
                layers += _normalised(weights[name]["Convolution_0"]["kernel"][0], 2)
        head = kernels["output"]["output"]["Convolution_0"]["kernel"][0]
        self.layers = nn.Sequential(*layers, *_normalised(head), nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch of images."""
        return self.layers(images).mean((2, 3))


def _normalised(kernel: np.ndarray, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution and its normalisation."""
    return [convolution(kernel, stride, len(kernel) // 2, groups=groups), norm(kernel.shape[-1])]
