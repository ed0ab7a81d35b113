"""Evaluations per second of the random-weight evaluator against PyTorch, one network after another.

Both sides score the same genomes on the same images with the same kernels, normalisation constants and head, in turns
and in one process, on this machine's GPU where JAX has one, else on its CPU. See the README beside this file for what
either side is given and what it pays for.
"""

import statistics
import sys
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from parts.command import Result, main, require
from parts.report import (
    Side,
    compare_scores,
    compare_seconds,
    count_compilations,
    header,
    peak_memory_gib,
    spread,
)
from parts.setting import NetworkSetting
from parts.work import count_work

from rwejax import data
from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evolve import sample_distinct
from rwejax.objectives import RWE_SCORES

FEATURES_TOLERANCE = {"float32": 1e-3, "tensorfloat32": 0.1}  # absolute; features are of order 1


@dataclass(frozen=True)
class Config(NetworkSetting):
    """Time the random-weight evaluator against PyTorch."""

    train_images: int = 2000
    """Images that the head is fitted on."""
    validation_images: int = 1000
    """Images that the validation error is taken on."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    genomes: int = 40
    """Genomes, drawn at random, no network twice."""
    precision: Literal["float32", "tensorfloat32"] = "float32"
    """Of convolutions on a GPU, on both sides."""


def measure(config: Config) -> Result:
    """Time both sides in turns.

    Raises:
        InputError: the setting cannot be evaluated.
    """
    require("torch", "bench")
    from parts.peer import CALIBRATION_IMAGES, Peer, gemm_rate

    if min(config.genomes, config.repetitions) < 1:
        raise InputError("genomes and repetitions are counts: give 1 or more of either")
    dataset, space = config.load(config.space, config.sizes)
    key_genomes, key = jax.random.split(jax.random.key(config.seed))
    genomes = np.asarray(sample_distinct(key_genomes, space, config.genomes))
    if len(np.unique(space.canonical(genomes), axis=0)) < config.genomes:
        raise InputError(f"genomes is {config.genomes}: so many different networks were not found, ask for fewer")
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES, precision=config.precision)
    peer = Peer(space, dataset, key, genomes, config.precision)
    members = peer.build(genomes)
    ours, theirs = Side(lambda: evaluator(key, genomes)), Side(lambda: peer.evaluate(members))

    ours.time()
    first_call = ours.seconds.pop()
    compilations = count_compilations()
    gemm: list[float] = []
    turns = []
    for _ in range(config.repetitions):
        gemm.append(gemm_rate(peer.device))
        turns.append((ours.time(), theirs.time()))
    compiled = len(compilations)  # before what follows adds its own
    features = evaluator.features(key, genomes)

    macs = int(space.macs(genomes).sum()) * len(peer.images)
    tolerance = FEATURES_TOLERANCE[config.precision]
    return {
        **header(config.recorded, "torch", gemm=gemm),
        "image_shape": dataset.image_shape,
        "torch": peer.description,
        "sides": {
            name: {
                "seconds": side.seconds,
                "evaluations_per_second": spread(config.genomes / s for s in side.seconds),
                "gflops": spread(2e-9 * macs / s for s in side.seconds),
                "share_of_peak": spread(2e-9 * macs / s / max(gemm) for s in side.seconds),
            }
            for name, side in {"rwejax": ours, "torch": theirs}.items()
        },
        "ratio": {"rwejax / torch": compare_seconds(ours.seconds, theirs.seconds)},
        "rwejax": {
            "first_call_seconds": first_call,
            "compile_seconds": first_call - statistics.median(ours.seconds),
            "compilations_after_first_call": compiled,
        },
        "work": count_work(evaluator, genomes),
        "agreement": compare(features, turns[0][0], *turns[0][1], dataset, tolerance),
        "peak_memory_gib": peak_memory_gib(),
    }


def compare(
    features: np.ndarray,
    scores: Any,
    peer_features: np.ndarray,
    peer_scores: dict[str, np.ndarray],
    dataset: data.Dataset,
    tolerance: float,
) -> dict[str, Any]:
    """Compare the two sides' features and scores."""
    ours = {name: np.asarray(getattr(scores, name)) for name in RWE_SCORES}
    difference = float(np.abs(features - peer_features).max())
    result = compare_scores(ours, peer_scores, features.shape[1], len(dataset.validation_labels))
    return {
        "features_largest": float(np.abs(features).max()),
        "features_difference": difference,
        **result,
        "holds": result["holds"] and difference < tolerance,
    }


if __name__ == "__main__":
    sys.exit(main(Config, measure))
