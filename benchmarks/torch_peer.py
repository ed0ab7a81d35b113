"""The macro space in PyTorch, one network after another: what `rwejax` is measured against, and checked against.

Kernels come from `rwejax.networks.initialise`, so that both sides compute the same features; everything after them,
the forward pass, the normalisation statistics and the ridge head, is PyTorch's own.
"""

import copy
import time
from collections.abc import Iterable, Mapping, Sequence

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rwejax.evaluate.ridge import STRENGTHS
from rwejax.networks.executor import Kernels
from rwejax.spaces import Macro

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
            # The blocks of the sources that are read, one below the other, are the 1x1 kernel of their concatenation.
            blocks = mix[sources] / np.sqrt(len(sources), dtype=np.float32)
            layers.append(_convolution(blocks.reshape(1, 1, -1, blocks.shape[-1])))
        if kernel is not None:
            layers.append(_convolution(kernel, padding=1))
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(mix.shape[-1], eps=1e-5, affine=False))

    def forward(self, maps: Maps) -> Tensor:
        """Read from the maps of the phase."""
        maps_read = [maps[source] for source in self.sources]
        x = maps_read[0] if len(maps_read) == 1 else torch.cat(maps_read, 1)
        return functional.relu_(self.layers(x))

    def fuse(self) -> None:
        """Fold the normalisation into the convolution before it, where there is one."""
        if len(self.layers) > 1:
            *before, convolution, norm = self.layers
            self.layers = nn.Sequential(*before, fuse_conv_bn_eval(convolution, norm))


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


class MacroNetwork(nn.Module):
    """One genome's network, from images to pooled features, in eval mode and channels_last.

    Args:
        space: the macro space.
        genome: decoded in its canonical form, as the evaluator does.
        kernels: those of every slot, as `rwejax.networks.initialise` draws them.
    """

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

    def fused(self) -> "MacroNetwork":
        """A copy with the normalisation folded into the convolutions; the features are the same but for rounding."""
        network = copy.deepcopy(self)
        for module in network.modules():
            if isinstance(module, Block):
                module.fuse()
        return network.to(memory_format=torch.channels_last)


def as_channels_last(images: np.ndarray) -> Tensor:
    """Images as `rwejax` has them, for PyTorch."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def features(network: MacroNetwork, images: Tensor, batch: int) -> Tensor:
    """Features of all images, a batch at a time."""
    return torch.cat([network(part) for part in images.split(batch)])


def fastest(
    variants: Mapping[str, Sequence[MacroNetwork]], images: Tensor, batches: Iterable[int], rounds: int
) -> tuple[str, int, dict[str, float]]:
    """Find the form of the networks and the batch size that take the least time.

    Args:
        variants: the same networks in several forms.
        images: what they are timed on.
        batches: batch sizes to try.
        rounds: the least time of so many counts, since another program on the machine only ever adds to it.

    Returns:
        The variant, the batch size, and for each combination the seconds that all its networks took.
    """
    seconds = {(name, batch): float("inf") for name in variants for batch in batches}
    for _ in range(rounds):
        for name, batch in seconds:
            start = time.perf_counter()
            for network in variants[name]:
                features(network, images, batch)
            seconds[name, batch] = min(seconds[name, batch], time.perf_counter() - start)
    name, batch = min(seconds, key=lambda combination: seconds[combination])
    return name, batch, {f"{name}, batch {batch}": taken for (name, batch), taken in seconds.items()}


@torch.inference_mode()
def ridge_scores(x: Tensor, labels: Tensor, classes: int, train: int) -> dict[str, float]:
    """The scores of `rwejax.evaluate.ridge.ridge_scores`, by the same formulas in PyTorch.

    Args:
        x: features, one row an image, the train images first.
        labels: class of each image.
        classes: number of classes.
        train: number of train images.
    """
    targets = functional.one_hot(labels, classes).float()
    mean, deviation = _moments(x)
    fit = _Fit((x - mean) / deviation, targets)
    residuals = fit.leave_one_out()
    squared = residuals.square().sum(-1).mean(-1)
    best = squared.argmin()

    mean, deviation = _moments(x[:train])
    head = _Fit((x[:train] - mean) / deviation, targets[:train])
    strength = head.strengths[head.leave_one_out().square().sum(-1).mean(-1).argmin()]
    weights = head.vectors @ (head.projected / (head.values + strength)[:, None])
    predicted = (x[train:] - mean) / deviation @ weights + head.mean
    return {
        "loo_error": 100 * ((targets - residuals[best]).argmax(-1) != labels).float().mean().item(),
        "validation_error": 100 * (predicted.argmax(-1) != labels[train:]).float().mean().item(),
        "loo_squared_error": squared[best].item(),
        "log_evidence": fit.log_evidence().max().item(),
    }


class _Fit:
    """Ridge regression of centred targets by one eigendecomposition, at every strength."""

    def __init__(self, z: Tensor, targets: Tensor) -> None:
        self.mean, self.centred = targets.mean(0), targets - targets.mean(0)
        values, self.vectors = torch.linalg.eigh(z.T @ z)
        self.values = values.clamp(min=0)
        self.rotated = z @ self.vectors
        self.projected = self.rotated.T @ self.centred
        self.strengths = torch.from_numpy(STRENGTHS * len(z))

    def leave_one_out(self) -> Tensor:
        """Residuals, (strengths, images, classes)."""
        shrinkage = 1 / (self.values + self.strengths[:, None])
        fitted = self.rotated @ (shrinkage[..., None] * self.projected)
        leverage = 1 / len(self.rotated) + shrinkage @ self.rotated.square().T
        return (self.centred - fitted) / (1 - leverage)[..., None]

    def log_evidence(self) -> Tensor:
        """Nats an image and class, at each strength."""
        explained = self.projected.square().sum(1) / (self.values + self.strengths[:, None])
        noise = (self.centred.square().sum() - explained.sum(1)) / self.centred.numel()
        complexity = torch.log1p(self.values / self.strengths[:, None]).sum(1) / len(self.rotated)
        return -0.5 * (torch.log(2 * torch.pi * noise) + 1 + complexity)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature; infinite where a feature is constant, which makes it 0."""
    deviation, mean = torch.std_mean(x, 0, correction=0)
    constant = deviation <= 1e-6 * (mean.abs() + torch.finfo(x.dtype).tiny)
    return mean, deviation.masked_fill(constant, torch.inf)


def _convolution(kernel: np.ndarray, padding: int = 0) -> nn.Conv2d:
    """A convolution with a kernel of (height, width, inputs, outputs), as Flax has it."""
    height, width, inputs, outputs = kernel.shape
    convolution = nn.Conv2d(inputs, outputs, (height, width), padding=padding, bias=False)
    convolution.weight = nn.Parameter(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), requires_grad=False)
    return convolution
