"""From run folders to networks on disk that need no rwejax."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rwejax import networks
from rwejax.errors import InputError
from rwejax.exporting.card import preprocessing
from rwejax.exporting.package import Card, export
from rwejax.runtime.environment import describe_machine
from rwejax.searching.images import describe_images, load_searched
from rwejax.searching.records import Run
from rwejax.searching.result import read_result
from rwejax.storage.run_dir import read_meta
from rwejax.training.config import TrainConfig
from rwejax.training.from_search import from_search
from rwejax.training.loop import choose
from rwejax.training.records import Training
from rwejax.training.step import TrainState, first_state, from_arrays, optimiser, to_arrays


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
    found = _of_search(run_dir, rule) if (run_dir / Run.lines).exists() else _of_training(run_dir)
    variables = {"params": found.state.params, "batch_stats": found.state.batch_stats}
    export(found.network, jax.tree.map(np.asarray, variables), found.image_shape, found.card, Path(folder))
    return found.card


@dataclasses.dataclass(frozen=True)
class _Found:
    """A network, its state or the shapes of that, and what is to be said of it."""

    network: networks.PlainNetwork
    state: TrainState
    image_shape: tuple[int, int, int]
    card: Card


def _of_training(run_dir: Path) -> _Found:
    with Training.open(run_dir) as run:
        meta, epochs, test = run.read_meta(), run.epochs(), run.test()
        if "std" not in meta:
            raise InputError(f"meta.json in run folder {str(run_dir)!r} is missing: resume the run, which mends that")
        found = _found(run.config, meta)
        loaded = run.checkpoints.load(to_arrays(found.state))
    if loaded is None or not epochs:
        raise InputError(f"run folder {str(run_dir)!r} holds no finished epoch: resume it first")
    epoch, arrays = loaded
    metrics = {} if test is None else {"test accuracy (%)": test.test_accuracy}
    metrics |= {"validation accuracy (%)": epochs[epoch - 1].validation_accuracy, "epochs": epoch}
    origin = meta.get("origin") or {}
    provenance = {name: origin[each] for name, each in (("search", "run"), ("pick", "pick")) if origin}
    provenance |= {"training": str(run_dir.absolute()), "seed": run.config.seed, "versions": meta["versions"]}
    card = dataclasses.replace(
        found.card, objectives=origin.get("objectives", {}), metrics=metrics, provenance=provenance
    )
    return dataclasses.replace(found, state=from_arrays(found.state, arrays), card=card)


def _of_search(run_dir: Path, rule: str) -> _Found:
    search = read_result(run_dir).config
    config, origin = from_search(run_dir, rule)
    meta = describe_images(load_searched(search, read_meta(run_dir)))
    found = _found(config, meta)
    state = first_state(jax.random.key(config.seed), found.network, found.image_shape, optimiser(config, 1))
    provenance = {"search": origin["run"], "pick": rule, "versions": describe_machine(config.seed)["versions"]}
    card = dataclasses.replace(
        found.card,
        objectives=origin["objectives"],
        metrics={"epochs": 0},
        provenance=provenance | {"weights": "random, not trained"},
    )
    return dataclasses.replace(found, state=state, card=card)


def _found(config: TrainConfig, meta: Mapping[str, Any]) -> _Found:
    """The network of a config, for the images that meta.json describes."""
    shape, classes = tuple(meta["image_shape"]), meta["classes"]
    space, genome = choose(config, shape, classes)
    network = networks.build(space, genome, auxiliary=config.auxiliary > 0)
    state = jax.eval_shape(lambda: first_state(jax.random.key(0), network, shape, optimiser(config, 1)))
    fields = (field.name for field in dataclasses.fields(space))  # type: ignore[arg-type]
    card = Card(
        space=space.name,
        architecture=space.to_string(genome),
        sizes={name: getattr(space, name) for name in fields if name not in ("input_shape", "classes")},
        classes=classes,
        macs=int(space.macs(genome[None])[0]),
        params=int(space.params(genome[None])[0]),
        objectives={},
        dataset=config.dataset,
        mean=tuple(meta["mean"]),
        std=tuple(meta["std"]),
        metrics={},
        provenance={},
        class_names=list(meta.get("class_names", ())),
        cropped=config.stem == "imagenet",
        preprocessing=preprocessing(shape, config.stem == "imagenet"),
    )
    return _Found(network, state, shape, card)
