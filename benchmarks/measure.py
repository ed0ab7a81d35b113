"""Times and compares both sides; needs PyTorch."""

import functools
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import torch
import torch_peer
from report import Side, count_compilations, count_cores, cpu_model, peak_memory_gib, spread

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate.ridge import ridge_scores
from rwejax.evaluate.rwe import SCORES, RandomWeightEvaluator
from rwejax.evolve import sample_distinct
from rwejax.version import __version__

if TYPE_CHECKING:
    from evaluations_per_second import Config

BATCHES = 32, 64, 128, 256
SEARCH_NETWORKS, SEARCH_IMAGES, SEARCH_ROUNDS = 4, 1024, 3
CALIBRATION_IMAGES = 256
FEATURES_TOLERANCE = 1e-3  # absolute; features are of order 1
SCORES_TOLERANCE = 1e-3  # relative, for the squared error and the evidence
IMAGES_TOLERANCE = 5  # images that may be classified differently, where two classes score all but equally


def measure(config: "Config", load: float) -> dict[str, Any]:
    """Time all sides in turns.

    Args:
        config: the setting.
        load: the machine's load before this process added its own.

    Raises:
        InputError: the setting cannot be evaluated.
    """
    if min(config.genomes, config.repetitions) < 1:
        raise InputError("genomes and repetitions are counts: give 1 or more of either")
    cores = count_cores()
    torch.set_num_threads(cores)
    dataset = data.load(
        config.dataset,
        train=config.train_images,
        validation=config.validation_images,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )
    space = spaces.Macro(config.nodes, config.channels, dataset.image_shape, dataset.classes)
    key_genomes, key = jax.random.split(jax.random.key(config.seed))
    genomes = np.asarray(sample_distinct(key_genomes, space, config.genomes))
    if len(np.unique(space.canonical(genomes), axis=0)) < config.genomes:
        raise InputError(f"genomes is {config.genomes}: so many different networks were not found, ask for fewer")
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION_IMAGES)

    # Compiled, since these are a thousand small operations, but not optimised, since they run once.
    initialise = jax.jit(
        functools.partial(networks.initialise, networks.network(space)),
        compiler_options={"xla_backend_optimization_level": 1},
    )
    kernels = initialise(jax.random.split(key, evaluator.seeds)[0])
    images = torch_peer.as_channels_last(np.concatenate([dataset.train_images, dataset.validation_images]))
    labels = torch.from_numpy(np.concatenate([dataset.train_labels, dataset.validation_labels])).long()
    head = functools.partial(torch_peer.ridge_scores, labels=labels, classes=dataset.classes, train=config.train_images)
    plain = [torch_peer.MacroNetwork(space, genome, kernels) for genome in genomes]
    for network in plain:
        network.calibrate(images[: min(CALIBRATION_IMAGES, config.train_images)])
    forms = {"plain": plain, "fused": [network.fused() for network in plain]}
    few = {name: members[:SEARCH_NETWORKS] for name, members in forms.items()}
    form, batch, search = torch_peer.fastest(few, images[:SEARCH_IMAGES], BATCHES, SEARCH_ROUNDS)

    def evaluate_peer(members: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        found = [torch_peer.features(network, images, batch) for network in members]
        scores = [head(x) for x in found]
        return torch.stack(found).numpy(), {name: np.array([score[name] for score in scores]) for name in SCORES}

    sides = {
        "rwejax": Side(lambda: evaluator(key, genomes)),
        "torch": Side(lambda: evaluate_peer(forms[form])),
    }
    if config.train_mode:
        batch_statistics = [torch_peer.MacroNetwork(space, genome, kernels).train() for genome in genomes]
        sides["torch, batch statistics"] = Side(lambda: evaluate_peer(batch_statistics))

    sides["rwejax"].time()
    first_call = sides["rwejax"].seconds.pop()
    compilations = count_compilations()
    gemm: list[float] = []
    first_turn: dict[str, Any] = {}
    for _ in range(config.repetitions):
        gemm.append(gemm_rate())
        results = {name: side.time() for name, side in sides.items()}
        first_turn = first_turn or results
    compiled = len(compilations)  # before what follows adds its own
    features = evaluator.features(key, genomes)

    peak = max(gemm)
    macs = int(space.macs(genomes).sum()) * len(images)
    ours = sides["rwejax"].seconds
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": {name: value for name, value in asdict(config).items() if name not in ("data_dir", "output")},
        "image_shape": dataset.image_shape,
        "versions": {
            "rwejax": __version__,
            "jax": jax.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "cpu": cpu_model(),
            "cores": cores,
            "jax_devices": [str(device) for device in jax.devices()],
            "load_before": load,
            "gemm_gflops_peak": peak,
            "gemm_gflops_before_each_turn": gemm,
        },
        "torch": {"form": form, "batch": batch, "threads": cores, "search_seconds": search},
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
            f"rwejax / {name}": {
                "turns": [theirs / mine for mine, theirs in zip(ours, side.seconds, strict=True)],
                **spread(theirs / mine for mine, theirs in zip(ours, side.seconds, strict=True)),
                "of_least_seconds": min(side.seconds) / min(ours),
            }
            for name, side in sides.items()
            if name != "rwejax"
        },
        "rwejax": {
            "first_call_seconds": first_call,
            "compile_seconds": first_call - statistics.median(ours),
            "compilations_after_first_call": compiled,
        },
        "head_seconds_per_network": head_seconds(features[0], head, dataset),
        "work": count_work(space, genomes),
        "agreement": compare(features, first_turn["rwejax"], *first_turn["torch"], dataset),
        "peak_memory_gib": peak_memory_gib(),
    }


def gemm_rate(size: int = 2048, repetitions: int = 8) -> float:
    """GFLOP/s of the fastest of some matrix products: the machine's peak, unless another program disturbs it."""
    x = torch.rand(size, size)
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        x @ x
        seconds.append(time.perf_counter() - start)
    return 2e-9 * size**3 / min(seconds)


def head_seconds(features: np.ndarray, torch_head: Callable[..., Any], dataset: data.Dataset) -> dict[str, float]:
    """The head alone, on the features of one network; `rwejax` runs one on every device at a time."""
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    ours = jax.jit(functools.partial(ridge_scores, classes=dataset.classes, train=len(dataset.train_labels)))
    x = torch.from_numpy(features)
    runs = {
        "rwejax": Side(lambda: jax.block_until_ready(ours(features, labels))),
        "torch": Side(lambda: torch_head(x)),
    }
    for _ in range(6):
        for run in runs.values():
            run.time()
    return {name: statistics.median(run.seconds[1:]) for name, run in runs.items()}


def count_work(space: spaces.Macro, genomes: np.ndarray) -> dict[str, Any]:
    """Rows and multiply-adds an image, all genomes together, with and without sharing among genomes."""
    network = networks.network(space)
    # Room for every row of every genome, so that one program holds them all.
    network = replace(network, groups=tuple(replace(group, sharing=1.0) for group in network.groups))
    start = time.perf_counter()
    shared, _ = networks.lower(space, network, genomes, len(genomes), 1)
    lowering = time.perf_counter() - start
    alone = [networks.lower(space, network, genome[None], 1, 1)[0] for genome in genomes]
    return {
        "rows": {
            group.name: {
                "without_sharing": sum(int(program.rows[group.name].chunks) for program in alone),
                "distinct": int(shared.rows[group.name].chunks),
            }
            for group in network.groups
        },
        "convolution_macs_per_image": {
            "without_sharing": sum(convolution_macs(space, program) for program in alone),
            "distinct": convolution_macs(space, shared),
        },
        "lowering_seconds": lowering,
    }


def convolution_macs(space: spaces.Macro, program: networks.Program) -> int:
    """Multiply-adds an image of a program's rows, which must be in chunks of one."""
    total = 0
    inputs = space.input_shape[2], space.channels, 2 * space.channels
    for p, (height, width, channels) in enumerate(space.maps):
        entry_taps = (9 if p == 0 else 1) * inputs[p]
        for group, taps in ("entry", entry_taps), ("nodes", 9 * channels), ("output", 0):
            rows = program.rows[f"{group}{p + 1}"]
            fan_in = rows.fan_in[: rows.chunks]
            mixed = np.where(fan_in > 1, fan_in, 0).sum() * channels
            total += height * width * channels * int(len(fan_in) * taps + mixed)
    return total


def compare(
    features: np.ndarray,
    scores: Any,
    peer_features: np.ndarray,
    peer_scores: dict[str, np.ndarray],
    dataset: data.Dataset,
) -> dict[str, Any]:
    """Hold the two sides' features and scores against each other."""
    validation = len(dataset.validation_labels)
    ours = {name: np.asarray(getattr(scores, name)) for name in SCORES}
    difference = {name: np.abs(ours[name] - peer_scores[name]) for name in SCORES}
    result = {
        "features_largest": float(np.abs(features).max()),
        "features_difference": float(np.abs(features - peer_features).max()),
        "loo_error_images": round(float(difference["loo_error"].max()) / 100 * features.shape[1]),
        "validation_error_images": round(float(difference["validation_error"].max()) / 100 * validation),
        **{
            f"{name}_relative": float((difference[name] / np.abs(ours[name])).max())
            for name in ("loo_squared_error", "log_evidence")
        },
    }
    holds = (
        result["features_difference"] < FEATURES_TOLERANCE
        and max(result["loo_error_images"], result["validation_error_images"]) <= IMAGES_TOLERANCE
        and max(result["loo_squared_error_relative"], result["log_evidence_relative"]) < SCORES_TOLERANCE
    )
    return {**result, "holds": bool(holds)}
