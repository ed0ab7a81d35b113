"""From run folders to networks on disk that need no rwejax."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Int

from rwejax import networks, spaces
from rwejax.drawing.picture import make_picture
from rwejax.errors import InputError
from rwejax.exporting.card import preprocessing, to_json
from rwejax.exporting.onnx_package import IMAGES, Images, export_onnx
from rwejax.exporting.package import Card, export
from rwejax.exporting.predict import Infer, Unusable
from rwejax.exporting.predict import load as load_exported
from rwejax.runtime.environment import describe_machine
from rwejax.searching.config import SearchConfig
from rwejax.searching.images import describe_images, load_same, load_searched, moved
from rwejax.searching.records import Run
from rwejax.storage.meta import read_meta
from rwejax.storage.yaml_config import read_stored
from rwejax.training.batches import standardise_pixels
from rwejax.training.config import TrainConfig
from rwejax.training.from_checkpoint import read_result as read_training
from rwejax.training.from_search import from_search
from rwejax.training.loop import choose, load_images


def export_run(
    run_dir: str | Path,
    folder: str | Path,
    rule: str = "knee",
    *,
    form: Literal["flax", "onnx"] = "flax",
    dataset: str | None = None,
    data_dir: str | Path | None = None,
) -> Card:
    """Write a training's network as it is after its last epoch, or one of a search's front, with random weights.

    A drawing of it is written too, if the extra draw is installed.

    Args:
        run_dir: the run folder.
        folder: where the files go, missing or empty; see `rwejax.export`.
        rule: which network of a search's front; see `rwejax.pick`.
        form: see `rwejax.export` and `rwejax.export_onnx`, which compares on validation images of the run, or on noise
            where these are no longer there.
        dataset: where the images of a search are now; None: where they were.
        data_dir: likewise.

    Returns:
        What is written of it.

    Raises:
        InputError: the run folder holds neither, or no finished epoch, or the images of a search have changed, or the
            other folder holds something, or images are given for a training, or what `rwejax.export_onnx` says.
    """
    run_dir = Path(run_dir)
    searched = (run_dir / Run.lines).exists()
    if not searched and (dataset, data_dir) != (None, None):
        raise InputError(
            f"run folder {str(run_dir)!r} holds no search, and the images of a training are not needed: leave out "
            "--dataset and --data-dir"
        )
    found = _of_search(run_dir, rule, dataset, data_dir) if searched else _of_training(run_dir)
    written = found.network, found.variables, found.image_shape, found.card, Path(folder)
    if form == "onnx":
        return export_onnx(*written, found.load_images(), found.drawing())
    export(*written, found.drawing())
    return found.card


def load_model(model: str | Path) -> tuple[Infer, dict[str, Any]]:
    """A network to predict with, and its card.

    Args:
        model: folder that `export_run` has written, or run folder of a training, whose network is as it is after its
            last epoch.

    Raises:
        InputError: the folder holds neither, or no finished epoch, or a search, whose networks are not trained, or what
            it holds is damaged.
    """
    model = Path(model)
    if (model / Run.lines).exists():
        raise InputError(
            f"run folder {str(model)!r} holds a search, of whose networks no weights are kept: train one with "
            "rwejax train, and give its run folder"
        )
    if not (model / "config.yaml").exists():
        try:
            return load_exported(model)
        except Unusable as error:
            raise InputError(str(error)) from error
    found = _of_training(model)
    infer = jax.jit(functools.partial(found.network.apply, found.variables))
    return infer, json.loads(to_json(found.card, found.image_shape))


@dataclasses.dataclass(frozen=True)
class _Found:
    """A network, its variables, what is to be said of it, and some images of its validation, if they are there."""

    space: spaces.Space
    genome: Int[np.ndarray, " genes"]
    network: networks.PlainNetwork
    variables: Mapping[str, Any]
    card: Card
    load_images: Callable[[], Images | None]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.space.input_shape

    def drawing(self) -> bytes | None:
        return make_picture(self.space, self.genome)


def _of_training(run_dir: Path) -> _Found:
    result, meta = read_training(run_dir), read_meta(run_dir)
    if "std" not in meta or "mean" not in meta:
        raise InputError(f"meta.json in run folder {str(run_dir)!r} is missing: resume the run, which mends that")
    test, epoch = result.test, len(result.epochs)
    metrics = {} if test is None else {"test accuracy (%)": test.test_accuracy}
    metrics |= {"validation accuracy (%)": result.epochs[-1].validation_accuracy, "epochs": epoch}
    origin = meta.get("origin") or {}
    named = {"search": origin.get("run"), "pick": origin.get("pick")}
    provenance: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    provenance |= {
        "training": str(run_dir.absolute()),
        "seed": result.config.seed,
        "versions": meta.get("versions", {}),
    }
    card = _card(result.config, result.space, result.genome, meta)
    objectives = {name: math.nan if value is None else value for name, value in origin.get("objectives", {}).items()}
    card = dataclasses.replace(card, objectives=objectives, metrics=metrics, provenance=provenance)
    images = functools.partial(_validation_images, result.config, meta)
    return _Found(result.space, result.genome, result.network, result.variables, card, images)


def _validation_images(config: TrainConfig, meta: Mapping[str, Any]) -> Images | None:
    try:
        source = load_same(config, meta, lambda: load_images(config))
        images, _ = next(source.batches("validation", IMAGES))
    except InputError:
        return None
    return np.asarray(standardise_pixels(images, source.mean, source.std), np.float32)


def _of_search(run_dir: Path, rule: str, dataset: str | None, data_dir: str | Path | None) -> _Found:
    known = read_meta(run_dir)
    config, origin = from_search(run_dir, rule)
    search = moved(read_stored(run_dir, SearchConfig()), known, dataset, data_dir)
    config = dataclasses.replace(config, dataset=search.dataset, data_dir=search.data_dir)
    images = load_searched(search, known)
    meta, shape = describe_images(images), images.image_shape
    space, genome = choose(config, shape, images.classes)
    network = networks.build(space, genome, auxiliary=config.auxiliary > 0)
    variables = networks.first_variables(config.seed, network, shape)
    provenance = {"search": origin["run"], "pick": rule, "versions": describe_machine(config.seed)["versions"]}
    card = dataclasses.replace(
        _card(config, space, genome, meta),
        objectives=origin["objectives"],
        metrics={"epochs": 0},
        provenance=provenance | {"weights": "random, not trained"},
    )
    return _Found(space, genome, network, variables, card, lambda: images.validation_images[:IMAGES])


def _card(config: TrainConfig, space: spaces.Space, genome: Int[np.ndarray, " genes"], meta: Mapping[str, Any]) -> Card:
    """What is to be said of a network, made for the images that meta.json describes."""
    fields = (field.name for field in dataclasses.fields(space))  # type: ignore[arg-type]
    return Card(
        space=space.name,
        architecture=space.to_string(genome),
        sizes={name: getattr(space, name) for name in fields if name not in ("input_shape", "classes")},
        classes=meta["classes"],
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
        preprocessing=preprocessing(space.input_shape, config.stem == "imagenet"),
    )
