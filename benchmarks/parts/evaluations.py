"""Times and compares both sides; needs PyTorch."""

import functools
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import torch

from rwejax import data
from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evaluate.ridge import ridge_scores
from rwejax.evolve import sample_distinct
from rwejax.objectives import RWE_SCORES

from . import torch_networks
from .report import Side, count_compilations, count_cores, header, peak_memory_gib, spread
from .sides import CALIBRATION_IMAGES, Peer, compare_scores, compare_seconds, gemm_rate
from .work import count_work

if TYPE_CHECKING:
    from ..evaluations_per_second import Config

FEATURES_TOLERANCE = {"float32": 1e-3, "tensorfloat32": 0.1}  # absolute; features are of order 1


def measure(config: "Config") -> dict[str, Any]:
    """Time all sides in turns.

    Raises:
        InputError: the setting cannot be evaluated.
    """
    if min(config.genomes, config.repetitions) < 1:
        raise InputError("genomes and repetitions are counts: give 1 or more of either")
    torch.set_num_threads(count_cores())
    dataset, space = config.load(config.space, config.sizes)
    key_genomes, key = jax.random.split(jax.random.key(config.seed))
    genomes = np.asarray(sample_distinct(key_genomes, space, config.genomes))
    if len(np.unique(space.canonical(genomes), axis=0)) < config.genomes:
        raise InputError(f"genomes is {config.genomes}: so many different networks were not found, ask for fewer")
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES, precision=config.precision)
    torch.backends.cudnn.allow_tf32 = config.precision == "tensorfloat32"
    peer = Peer(space, dataset, key, genomes)
    members = peer.build(genomes)
    sides = {
        "rwejax": Side(lambda: evaluator(key, genomes)),
        "torch": Side(lambda: peer.evaluate(members)),
    }
    if config.train_mode:
        batch_statistics = [torch_networks.build(space, genome, peer.kernels).train() for genome in genomes]
        sides["torch, batch statistics"] = Side(lambda: peer.evaluate(batch_statistics))

    sides["rwejax"].time()
    first_call = sides["rwejax"].seconds.pop()
    compilations = count_compilations()
    gemm: list[float] = []
    first_turn: dict[str, Any] = {}
    for _ in range(config.repetitions):
        gemm.append(gemm_rate(peer.device))
        results = {name: side.time() for name, side in sides.items()}
        first_turn = first_turn or results
    compiled = len(compilations)  # before what follows adds its own
    features = evaluator.features(key, genomes)

    peak = max(gemm)
    macs = int(space.macs(genomes).sum()) * len(peer.images)
    ours = sides["rwejax"].seconds
    return {
        **header(config.recorded, "torch", gemm=gemm),
        "image_shape": dataset.image_shape,
        "torch": peer.description,
        "sides": {
            name: {
                "seconds": side.seconds,
                "evaluations_per_second": spread(config.genomes / s for s in side.seconds),
                "gflops": spread(2e-9 * macs / s for s in side.seconds),
                "share_of_peak": spread(2e-9 * macs / s / peak for s in side.seconds),
            }
            for name, side in sides.items()
        },
        "ratio": {
            f"rwejax / {name}": compare_seconds(ours, side.seconds) for name, side in sides.items() if name != "rwejax"
        },
        "rwejax": {
            "first_call_seconds": first_call,
            "compile_seconds": first_call - statistics.median(ours),
            "compilations_after_first_call": compiled,
        },
        "head_seconds_per_network": head_seconds(features[0], peer.head, dataset, peer.device),
        "work": count_work(evaluator, genomes),
        "agreement": compare(
            features, first_turn["rwejax"], *first_turn["torch"], dataset, FEATURES_TOLERANCE[config.precision]
        ),
        "peak_memory_gib": peak_memory_gib(),
    }


def head_seconds(
    features: np.ndarray, torch_head: Callable[..., Any], dataset: data.Dataset, device: str
) -> dict[str, float]:
    """The head alone, on the features of one network; `rwejax` runs one on every device at a time."""
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    ours = jax.jit(functools.partial(ridge_scores, classes=dataset.classes, train=len(dataset.train_labels)))
    x = torch.from_numpy(features).to(device)
    runs = {
        "rwejax": Side(lambda: jax.block_until_ready(ours(features, labels))),
        "torch": Side(lambda: torch_head(x)),
    }
    for _ in range(6):
        for run in runs.values():
            run.time()
    return {name: statistics.median(run.seconds[1:]) for name, run in runs.items()}


def compare(
    features: np.ndarray,
    scores: Any,
    peer_features: np.ndarray,
    peer_scores: dict[str, np.ndarray],
    dataset: data.Dataset,
    tolerance: float,
) -> dict[str, Any]:
    """Hold the two sides' features and scores against each other."""
    ours = {name: np.asarray(getattr(scores, name)) for name in RWE_SCORES}
    difference = float(np.abs(features - peer_features).max())
    result = compare_scores(ours, peer_scores, features.shape[1], len(dataset.validation_labels))
    return {
        "features_largest": float(np.abs(features).max()),
        "features_difference": difference,
        **result,
        "holds": result["holds"] and difference < tolerance,
    }
