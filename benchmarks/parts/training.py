"""Trains one network in PyTorch, on one core."""

import functools
import time
import zlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwejax import spaces

from . import torch_networks, torch_peer

if TYPE_CHECKING:
    from .trainings import TrainingSetting

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


def train(config: "TrainingSetting", training: tuple[str, int]) -> tuple[str, int, float, float]:
    """Train a network.

    Args:
        config: the setting.
        training: the architecture, and the number of the training, which draws the weights and the order of the images.

    Returns:
        Both again, the accuracy on the test images in %, and the seconds that it took.
    """
    text, number = training
    torch.set_num_threads(1)
    torch.manual_seed(zlib.crc32(f"{config.seed} {number} {text}".encode()))
    space, images, labels = load(config)
    start = time.perf_counter()
    count = config.train_images
    network = build(space, text, images[:2])
    optimiser = torch.optim.SGD(
        network.parameters(), config.learning_rate, MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    steps = config.epochs * (count // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    for _ in range(config.epochs):
        for rows in torch.randperm(count).split(config.batch):
            if len(rows) == config.batch:
                optimiser.zero_grad()
                functional.cross_entropy(network(augment(images[rows])), labels[rows]).backward()
                optimiser.step()
                schedule.step()
    network.eval()
    with torch.no_grad():
        found = torch.cat([network(part).argmax(1) for part in images[count:].split(250)])
    return text, number, 100 * (found == labels[count:]).float().mean().item(), time.perf_counter() - start


@functools.cache
def load(config: "TrainingSetting") -> tuple[spaces.Space, Tensor, Tensor]:
    """The space, images and labels, once a process: those of training first."""
    dataset, space = config.load(config.space, config.sizes)
    return space, *torch_peer.as_tensors(dataset)


def build(space: spaces.Space, text: str, images: Tensor) -> nn.Module:
    """A network with weights of its own, normalisation with scale and bias, and a linear layer."""
    features = torch_networks.build(space, space.from_string(text))
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight.requires_grad_(), nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            module.affine = True
            module.weight = nn.Parameter(torch.ones(module.num_features))
            module.bias = nn.Parameter(torch.zeros(module.num_features))
    with torch.no_grad():
        width = features(images).shape[1]
    return nn.Sequential(features, nn.Linear(width, space.classes))


def augment(images: Tensor) -> Tensor:
    """Each image mirrored or not, and shifted by up to an eighth of its size along both axes."""
    count, channels, size, _ = images.shape
    reach = size // 8
    flipped = torch.where(torch.rand(count, 1, 1, 1) < 0.5, images.flip(3), images)
    padded = functional.pad(flipped, (reach,) * 4)
    row, column = torch.randint(0, 2 * reach + 1, (2, count, 1)) + torch.arange(size)
    image, channel = torch.arange(count)[:, None, None, None], torch.arange(channels)[:, None, None]
    shifted = padded[image, channel, row[:, None, :, None], column[:, None, None]]
    return shifted.contiguous(memory_format=torch.channels_last)
