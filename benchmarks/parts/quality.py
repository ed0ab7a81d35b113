"""Times the papers' protocol and rank-correlates it with a table; needs PyTorch."""

import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import torch_networks, torch_peer
from .report import count_cores, header, spread
from .sides import gemm_rate
from .tables import Truth
from .torch_protocol import LEARNING_RATE, MOMENTUM, Protocol

if TYPE_CHECKING:
    from ..quality_for_time import Config


def describe(config: "Config") -> dict[str, Any]:
    """What is measured, on what; no table yet."""
    torch.set_num_threads(count_cores())
    setting = {**config.recorded, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    return {**header(setting, "torch", gemm=[gemm_rate() for _ in range(3)]), "tables": {}}


def measure_protocol(config: "Config", truth: Truth, accuracies: dict[str, float]) -> dict[str, Any]:
    """Evaluate networks as the papers do.

    Args:
        config: the setting.
        truth: the table of the networks.
        accuracies: what the networks, by their texts, are truly worth.

    Returns:
        Seconds of one network after another, and how well the accuracies of their heads rank them.
    """
    dataset, space = replace(config, image_size=None).load(truth.space, truth.sizes)
    genomes = np.stack([space.from_string(text) for text in accuracies])
    images, labels = torch_peer.as_tensors(dataset)
    protocol = Protocol(
        images=images,
        labels=labels,
        train=len(dataset.train_labels),
        classes=dataset.classes,
        batch=config.batch,
        epochs=config.epochs,
    )
    scores, seconds = [], []
    for number, genome in enumerate(genomes):
        member = torch_networks.build(space, genome)
        start = time.perf_counter()
        scores.append(protocol.validation_accuracy(member, config.seed + number))
        seconds.append(time.perf_counter() - start)
    macs = space.macs(space.canonical(genomes))
    found = statistics.measure(np.array(scores), np.array(list(accuracies.values())), macs, config.seed)
    return {
        "sizes": truth.sizes,
        "macs_millions": spread(macs / 1e6),
        "seconds": spread(seconds),
        "mean_seconds": statistics.mean(seconds),
        "accuracy": spread(scores),
        **found._asdict(),
    }
