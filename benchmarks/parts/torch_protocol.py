"""Random-weight evaluation as its papers describe it, in PyTorch: one network after another, and a trained head."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rwejax.data import Dataset
from rwejax.runtime.devices import cores
from rwejax.spaces import Space

from . import torch_networks, torch_peer

LEARNING_RATE, MOMENTUM = 0.025, 0.9


class Protocol:
    """How networks are evaluated, with PyTorch on all cores.

    Args:
        dataset: train and validation images.
        batch: images of a batch, of the network's and of the head's.
        epochs: of the head.
    """

    def __init__(self, dataset: Dataset, batch: int, epochs: int) -> None:
        torch.set_num_threads(cores())
        self.images, self.labels = torch_peer.as_tensors(dataset)
        self.train, self.classes, self.batch, self.epochs = len(dataset.train_labels), dataset.classes, batch, epochs

    def accuracies(self, space: Space, genomes: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, list[float]]:
        """The validation accuracy of each network, in %, and its seconds; building a network is not timed."""
        found, seconds = [], []
        for number, genome in enumerate(genomes):
            member = torch_networks.build(space, genome)
            start = time.perf_counter()
            found.append(self.validation_accuracy(member, seed + number))
            seconds.append(time.perf_counter() - start)
        return np.array(found), seconds

    def validation_accuracy(self, network: torch_networks.Network, seed: int) -> float:
        """The accuracy, in %, of a linear layer on the features of a network whose weights are drawn anew.

        Batches are normalised by their own statistics, as a network is that was never trained. The layer sees the
        features standardised, and is trained by stochastic gradient descent along a cosine.
        """
        torch.manual_seed(seed)
        for module in network.train().modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        with torch.no_grad():
            features = torch.cat([network(part) for part in self.images.split(self.batch)])
        std, mean = torch.std_mean(features[: self.train], 0, correction=0)
        features = (features - mean) / std.masked_fill(std == 0, torch.inf)
        return self._trained_head(features)

    def _trained_head(self, features: Tensor) -> float:
        head = nn.Linear(features.shape[1], self.classes)
        optimiser = torch.optim.SGD(head.parameters(), LEARNING_RATE, MOMENTUM)
        steps = self.epochs * -(-self.train // self.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(self.epochs):
            for rows in torch.randperm(self.train).split(self.batch):
                optimiser.zero_grad()
                nn.functional.cross_entropy(head(features[rows]), self.labels[rows]).backward()
                optimiser.step()
                schedule.step()
        with torch.no_grad():
            found = head(features[self.train :]).argmax(1)
        return 100 * (found == self.labels[self.train :]).float().mean().item()
