"""A network trained in PyTorch, on a GPU by a CUDA graph of its step; needs PyTorch."""

import functools
import zlib

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwejax import spaces

from . import torch_networks, torch_peer
from .setting import TrainingSetting

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
EAGER_STEPS = 3  # PyTorch allocates and chooses its algorithms in the first steps, which a CUDA graph must not hold


class Training:
    """A network on its way; all that is random is drawn beforehand, so that a step is the same work every time.

    Args:
        config: the setting.
        text: the architecture.
        where: "cpu" or "cuda".
    """

    def __init__(self, config: TrainingSetting, text: str, where: str) -> None:
        torch.manual_seed(zlib.crc32(f"{config.seed} {text}".encode()))
        space, self.images, self.labels = load(config, where)
        device, self.count = self.images.device, config.train_images
        each = self.count // config.batch
        self.steps = config.epochs * each
        orders = [torch.randperm(self.count)[: each * config.batch] for _ in range(config.epochs)]
        self.order = torch.cat(orders).view(self.steps, config.batch).to(device)
        reach = self.images.shape[2] // 8
        self.shifts = torch.randint(0, 2 * reach + 1, (self.steps, 2, config.batch)).to(device)
        self.mirrored = (torch.rand(self.steps, config.batch) < 0.5).to(device)
        cosine = 1 + torch.cos(torch.pi * torch.arange(self.steps) / self.steps)
        self.rates = (config.learning_rate / 2 * cosine).to(device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        layout = torch.contiguous_format if device.type == "cuda" else torch.channels_last
        self.network = build(space, text, self.images[:2].cpu()).to(device, memory_format=layout).train()
        self.rate = torch.tensor(config.learning_rate, device=device)
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), self.rate, MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.done = 0
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())  # on which all of the above is made
        self.graph: torch.cuda.CUDAGraph | None = None

    def advance(self) -> None:
        """Make a step; on a GPU, begin it."""
        if self.stream is None:
            self._step()
            return
        if self.done == EAGER_STEPS:
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self._step()
        with torch.cuda.stream(self.stream):
            if self.graph is None:
                self._step()
            else:
                self.graph.replay()
        self.done += 1

    def accuracy(self) -> float:
        """On the validation images, in %."""
        if self.stream is not None:
            self.stream.synchronize()
        self.network.eval()
        with torch.no_grad():
            found = torch.cat([self.network(part).argmax(1) for part in self.images[self.count :].split(250)])
        return 100 * (found == self.labels[self.count :]).float().mean().item()

    def _step(self) -> None:
        rows, shifts, mirrored = (
            table.index_select(0, self.position)[0] for table in (self.order, self.shifts, self.mirrored)
        )
        self.rate.copy_(self.rates.index_select(0, self.position)[0])
        self.position += 1
        logits = self.network(augment(self.images[rows], mirrored, shifts))
        self.optimiser.zero_grad()
        functional.cross_entropy(logits, self.labels[rows]).backward()
        self.optimiser.step()


@functools.cache
def load(config: TrainingSetting, where: str) -> tuple[spaces.Space, Tensor, Tensor]:
    """The space, images and labels, once a process: those of training first."""
    dataset, space = config.load(config.space, config.sizes)
    images, labels = torch_peer.as_tensors(dataset)
    if where == "cuda":
        images = images.contiguous()
    return space, images.to(where), labels.to(where)


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


def augment(images: Tensor, mirrored: Tensor, shifts: Tensor) -> Tensor:
    """Images mirrored or not, and shifted along both axes by up to an eighth of their size.

    Args:
        images: a batch.
        mirrored: whether each is.
        shifts: (2, images), from 0 to twice the furthest; half of that leaves an image where it is.
    """
    count, channels, size, _ = images.shape
    flipped = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    padded = functional.pad(flipped, (size // 8,) * 4)
    row, column = shifts[:, :, None] + torch.arange(size, device=images.device)
    image = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[:, None, None]
    shifted = padded[image, channel, row[:, None, :, None], column[:, None, None]]
    layout = torch.contiguous_format if images.is_cuda else torch.channels_last
    return shifted.contiguous(memory_format=layout)
