"""From run folders to networks on disk that need no rwejax."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from rwejax.export import Card, export
from rwejax.meta import describe_machine
from rwejax.results import read_result
from rwejax.runs import Run
from rwejax.training.config import TrainConfig
from rwejax.training.loop import choose
from rwejax.training.picked import from_search
from rwejax.training.records import Training
from rwejax.training.step import State, first_state, from_arrays, optimiser, to_arrays


class _Images(NamedTuple):
    """What a network has to know of its images."""

    image_shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def export_run(run_dir: str | Path, folder: str | Path, rule: str = "knee") -> Card:
    """Write a training's network as it is after its last epoch, or one of a search's front, with random weights.

    Args:
        run_dir: the run folder.
        folder: where the files go, missing or empty; see `rwejax.export`.
        rule: which network of a search's front; see `rwejax.pick`.

    Returns:
        What is written of it.

    Raises:
        InputError: the run folder holds neither, or no finished epoch, or the other folder holds something.
    """
    run_dir = Path(run_dir)
    return (_export_found if (run_dir / Run.lines).exists() else _export_trained)(run_dir, Path(folder), rule)


def _export_trained(run_dir: Path, folder: Path, _: str) -> Card:
    with Training.open(run_dir) as run:
        meta, epochs, test = run.read_meta(), run.epochs(), run.test()
        if not epochs:
            raise InputError(f"run folder {str(run_dir)!r} holds no finished epoch: resume it first")
        try:
            images = _Images(tuple(meta["image_shape"]), meta["classes"], tuple(meta["mean"]), tuple(meta["deviation"]))
        except (KeyError, TypeError) as error:
            raise InputError(f"meta.json in run folder {str(run_dir)!r} is broken: delete it and resume") from error
        space, genome, network, template = _template(run.config, images)
        found = run.checkpoints.load(to_arrays(template))
    if found is None:
        raise InputError(f"run folder {str(run_dir)!r} holds no checkpoint: resume it first")
    last = epochs[found[0] - 1]
    metrics = {"epochs": found[0], "validation accuracy (%)": last.validation_accuracy}
    if test is not None:
        metrics = {"test accuracy (%)": test.test_accuracy} | metrics
    origin = meta.get("origin") or {}
    card = _card(space, genome, images, run.config.dataset, origin.get("objectives", {}), metrics)
    provenance = {"training": str(run_dir.absolute()), "seed": run.config.seed, "versions": meta["versions"]}
    if origin:
        provenance |= {"search": origin["run"], "pick": origin["pick"]}
    card = dataclasses.replace(card, provenance=provenance)
    _export(network, from_arrays(template, found[1]), images, card, folder)
    return card


def _export_found(run_dir: Path, folder: Path, rule: str) -> Card:
    search = read_result(run_dir).config
    config, origin = from_search(run_dir, rule)
    dataset = data.load(
        search.dataset,
        train=search.train_images,
        validation=search.validation_images,
        data_dir=search.data_dir,
        image_size=search.image_size,
        seed=search.seed,
    )
    mean, deviation = (tuple(each.tolist()) for each in (dataset.mean, dataset.deviation))
    images = _Images(dataset.image_shape, dataset.classes, mean, deviation)
    space, genome, network, _ = _template(config, images)
    state = _first_state(config, network, images)
    provenance = {"search": origin["run"], "pick": rule, "versions": describe_machine(config.seed)["versions"]}
    card = _card(space, genome, images, config.dataset, origin["objectives"], {"epochs": 0})
    card = dataclasses.replace(card, provenance=provenance | {"weights": "random, not trained"})
    _export(network, state, images, card, folder)
    return card


def _template(config: TrainConfig, images: _Images) -> tuple[spaces.Space, np.ndarray, networks.PlainNetwork, State]:
    """Space, genome and network of a training, and the shapes of its state."""
    options: dict[str, Any] = {"stem": config.stem} if config.stem != "cifar" else {}
    space, genome = choose(config, input_shape=images.image_shape, classes=images.classes, **options)
    network = networks.build(space, genome, auxiliary=config.auxiliary > 0)
    return space, genome, network, jax.eval_shape(lambda: _first_state(config, network, images))


def _first_state(config: TrainConfig, network: networks.PlainNetwork, images: _Images) -> State:
    return first_state(jax.random.key(config.seed), network, images.image_shape, optimiser(config, 1))


def _card(
    space: spaces.Space,
    genome: np.ndarray,
    images: _Images,
    dataset: str,
    objectives: dict[str, float],
    metrics: dict[str, float],
) -> Card:
    fields = (field.name for field in dataclasses.fields(space))  # type: ignore[arg-type]
    return Card(
        space=space.name,
        architecture=space.to_string(genome),
        sizes={name: getattr(space, name) for name in fields if name not in ("input_shape", "classes")},
        classes=images.classes,
        macs=int(space.macs(genome[None])[0]),
        params=int(space.params(genome[None])[0]),
        objectives=objectives,
        dataset=dataset,
        mean=images.mean,
        deviation=images.deviation,
        metrics=metrics,
        provenance={},
    )


def _export(network: networks.PlainNetwork, state: State, images: _Images, card: Card, folder: Path) -> None:
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    export(network, jax.tree.map(np.asarray, variables), images.image_shape, card, folder)
