"""Times the papers' protocol and holds it against a table; needs PyTorch."""

import functools
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import torch

from rwejax import data, networks, spaces
from rwejax.evaluate import correlation

from . import torch_networks, torch_peer
from .report import count_cores, spread
from .sides import gemm_rate, machine, versions
from .torch_protocol import LEARNING_RATE, MOMENTUM, Protocol

if TYPE_CHECKING:
    from ..quality_for_time import Config


def describe(config: "Config", load_before: float) -> dict[str, Any]:
    """What is measured, on what; no table yet."""
    torch.set_num_threads(count_cores())
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": {**config.recorded, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM},
        "versions": versions(),
        "machine": machine(load_before, [gemm_rate() for _ in range(3)]),
        "tables": {},
    }


def measure_protocol(
    config: "Config", name: str, sizes: dict[str, int], accuracies: dict[str, float]
) -> dict[str, Any]:
    """Evaluate networks as the papers do.

    Args:
        config: the setting.
        name: of the space.
        sizes: of its networks.
        accuracies: what the networks, by their texts, are truly worth.

    Returns:
        Seconds of one network after another, and how well the accuracies of their heads rank them.
    """
    dataset = data.load(
        config.dataset,
        train=config.train_images,
        validation=config.validation_images,
        data_dir=config.data_dir,
        seed=config.seed,
    )
    space = spaces.get(name, input_shape=dataset.image_shape, classes=dataset.classes, **sizes)
    genomes = np.stack([space.from_string(text) for text in accuracies])
    # Weights are drawn by PyTorch, network by network; these only shape the layers, outside of the timing.
    network = networks.network(space)
    shapes = jax.eval_shape(functools.partial(networks.initialise, network), jax.random.key(0))
    kernels = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    images = np.concatenate([dataset.train_images, dataset.validation_images])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    protocol = Protocol(
        images=torch_peer.as_channels_last(images),
        labels=torch.from_numpy(labels).long(),
        train=len(dataset.train_labels),
        classes=dataset.classes,
        batch=config.batch,
        epochs=config.epochs,
    )
    scores, seconds = [], []
    for number, genome in enumerate(genomes):
        member = torch_networks.build(space, genome, kernels)
        start = time.perf_counter()
        scores.append(protocol.validation_accuracy(member, config.seed + number))
        seconds.append(time.perf_counter() - start)
    macs = space.macs(space.canonical(genomes))
    found = correlation.measure(np.array(scores), np.array(list(accuracies.values())), macs, config.seed)
    return {
        "sizes": sizes,
        "macs_millions": spread(macs / 1e6),
        "seconds": spread(seconds),
        "mean_seconds": statistics.mean(seconds),
        "accuracy": spread(scores),
        **found._asdict(),
    }
