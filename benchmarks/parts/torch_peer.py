"""Random-weight evaluation in PyTorch, one network after another: features a batch at a time, and the ridge head."""

import functools
import itertools
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rwejax.data import Dataset
from rwejax.evaluate.ridge import STRENGTHS

HOPELESS = 1.5  # times the least seconds
LAST = 4  # ways that are timed on all images


def as_channels_last(images: np.ndarray) -> Tensor:
    """Images as `rwejax` has them, for PyTorch."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def as_tensors(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """The images and labels of a dataset, the train images first."""
    images = np.concatenate([dataset.train_images, dataset.validation_images])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    return as_channels_last(images), torch.from_numpy(labels).long()


@torch.inference_mode()
def features(network: nn.Module, images: Tensor, batch: int, streams: int = 1) -> Tensor:
    """Features of all images, a batch at a time.

    Args:
        network: as `torch_networks` builds it.
        images: as `as_channels_last` makes them.
        batch: images of a batch.
        streams: batches that are under way together, each on one thread; a single one has all of PyTorch's threads.
    """
    parts = images.split(batch)
    if streams == 1:
        return torch.cat([network(part) for part in parts])
    return torch.cat(list(_pool(streams).map(functools.partial(_features_of_batch, network), parts)))


@torch.inference_mode()
def _features_of_batch(network: nn.Module, images: Tensor) -> Tensor:
    return network(images)  # whether PyTorch is in inference mode, each thread knows of itself alone


@functools.cache
def _pool(streams: int) -> ThreadPoolExecutor:
    """Threads on which PyTorch uses one thread each."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(streams, initializer=torch.set_num_threads, initargs=(1,))
    started = threading.Barrier(streams)
    list(pool.map(lambda _: started.wait(), range(streams)))
    torch.set_num_threads(threads)  # back to what this thread had; the others keep theirs
    return pool


class Way(NamedTuple):
    """How networks are run."""

    form: str
    batch: int
    streams: int

    def __str__(self) -> str:
        return f"{self.form}, batch {self.batch}, {self.streams} stream{'s' * (self.streams > 1)}"


def fastest(
    variants: Mapping[str, Sequence[nn.Module]],
    images: Tensor,
    few: int,
    batches: Iterable[int],
    streams: Iterable[int],
    rounds: int,
) -> tuple[Way, dict[str, float]]:
    """Find the form of the networks, the batch size and the number of streams that take the least time.

    Some ways are quick for a second and slow for a minute, so those that are quickest on a few images are timed on all.

    Args:
        variants: the same networks in several forms.
        images: what the last ways are timed on.
        few: images that all ways are timed on.
        batches: batch sizes to try.
        streams: numbers of streams to try.
        rounds: the least time of so many counts, since another program on the machine only ever adds to it. What is far
            behind after a round is not tried again.

    Returns:
        The fastest way, and for the last ways the seconds that all their networks took for all images.
    """

    def taken(way: Way, images: Tensor) -> float:
        start = time.perf_counter()
        for network in variants[way.form]:
            features(network, images, way.batch, way.streams).sum().item()  # which waits for an accelerator
        return time.perf_counter() - start

    ways = itertools.starmap(Way, itertools.product(variants, batches, streams))
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        hopeless = HOPELESS * min(seconds.values())
        for way in [way for way, least in seconds.items() if least <= hopeless]:
            seconds[way] = min(seconds[way], taken(way, images[:few]))
    last = sorted(seconds, key=lambda way: seconds[way])[:LAST]
    times = [[taken(way, images) for way in last] for _ in range(rounds)]
    least = dict(zip(last, map(min, zip(*times, strict=True)), strict=True))
    return min(least, key=lambda way: least[way]), {str(way): each for way, each in least.items()}


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
    mean, std = _moments(x)
    fit = _Fit((x - mean) / std, targets)
    residuals = fit.leave_one_out()
    squared = residuals.square().sum(-1).mean(-1)
    best = squared.argmin()

    mean, std = _moments(x[:train])
    head = _Fit((x[:train] - mean) / std, targets[:train])
    strength = head.strengths[head.leave_one_out().square().sum(-1).mean(-1).argmin()]
    weights = head.vectors @ (head.projected / (head.values + strength)[:, None])
    predicted = (x[train:] - mean) / std @ weights + head.mean
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
        self.strengths = torch.from_numpy(STRENGTHS * len(z)).to(z.device)

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
    """Mean and std of each feature; infinite where a feature is constant, which makes it 0."""
    std, mean = torch.std_mean(x, 0, correction=0)
    constant = std <= 1e-6 * (mean.abs() + torch.finfo(x.dtype).tiny)
    return mean, std.masked_fill(constant, torch.inf)
