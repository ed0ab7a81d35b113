"""PyTorch's side: its images, its head, and networks that are run in the fastest way; needs PyTorch."""

import functools
import time
from typing import Any

import jax
import numpy as np
import torch

from rwejax import data, networks, spaces
from rwejax.objectives import RWE_SCORES
from rwejax.runtime.devices import cores

from . import torch_networks, torch_peer

FORMS = "plain", "fused"
BATCHES = {"cpu": (32, 64, 128, 256), "cuda": (256, 512, 1024)}
SEARCH_NETWORKS, SEARCH_IMAGES, SEARCH_ROUNDS = 4, 1024, 3
CALIBRATION_IMAGES = 256

torch.set_num_threads(cores())


class Peer:
    """PyTorch's side: its images, its head, and networks that are run in the way that takes the least time.

    Args:
        space: macro or micro.
        dataset: what `rwejax` evaluates on.
        key: as the evaluator is given it, for the same kernels.
        genomes: the fastest way is searched with the first few of them.
        precision: of convolutions on a GPU, float32 or tensorfloat32.
    """

    def __init__(
        self,
        space: spaces.Space,
        dataset: data.Dataset,
        key: jax.Array,
        genomes: np.ndarray,
        precision: str = "float32",
    ) -> None:
        torch.backends.cudnn.allow_tf32 = precision == "tensorfloat32"
        # Compiled, since these are a thousand small operations, but not optimised, since they run once.
        initialise = jax.jit(
            functools.partial(networks.initialise, networks.network(space)),
            compiler_options={"xla_backend_optimization_level": 1},
        )
        self.space, self.kernels = space, initialise(jax.random.split(key, 1)[0])
        train = len(dataset.train_labels)
        self.device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        self.images, labels = (x.to(self.device) for x in torch_peer.as_tensors(dataset))
        self.calibration = min(CALIBRATION_IMAGES, train)
        self.head = functools.partial(torch_peer.ridge_scores, labels=labels, classes=dataset.classes, train=train)
        few = {form: self.build(genomes[:SEARCH_NETWORKS], form) for form in FORMS}
        streams = sorted({1, torch.get_num_threads()}) if self.device == "cpu" else [1]
        self.way, self.search = torch_peer.fastest(
            few, self.images, SEARCH_IMAGES, BATCHES[self.device], streams, SEARCH_ROUNDS
        )

    @property
    def description(self) -> dict[str, Any]:
        """What was searched beforehand, and found."""
        return {**self.way._asdict(), "threads": torch.get_num_threads(), "search_seconds": self.search}

    def build(self, genomes: np.ndarray, form: str | None = None) -> list[torch_networks.Network]:
        """The networks of genomes, with their normalisation constants, by default in the fastest form."""
        members = [torch_networks.build(self.space, genome, self.kernels).to(self.device) for genome in genomes]
        for network in members:
            network.calibrate(self.images[: self.calibration])
        return members if (form or self.way.form) == "plain" else [network.fused() for network in members]

    def evaluate(self, members: list[torch_networks.Network]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Features and scores of networks, one after another."""
        found = [torch_peer.features(network, self.images, self.way.batch, self.way.streams) for network in members]
        scores = [self.head(x) for x in found]
        by_name = {name: np.array([score[name] for score in scores]) for name in RWE_SCORES}
        return torch.stack(found).cpu().numpy(), by_name


def gemm_rate(device: str = "cpu", repetitions: int = 8) -> float:
    """GFLOP/s of the fastest of some matrix products: the device's peak, unless another program disturbs it."""
    size = 2048 if device == "cpu" else 8192
    x = torch.rand(size, size, device=device)
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        (x @ x)[0, 0].item()  # which waits for an accelerator
        seconds.append(time.perf_counter() - start)
    return 2e-9 * size**3 / min(seconds)
