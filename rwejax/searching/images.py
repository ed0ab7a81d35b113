"""What a run remembers of its images in meta.json, so that it never goes on with others.

A fingerprint says whether the images are the same, wherever they lie; the rest says what has become of them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from rwejax import data
from rwejax.config import PATHS, RunConfig
from rwejax.data import folder, registry
from rwejax.errors import InputError, quoted
from rwejax.runtime.environment import now
from rwejax.storage.contact_sheet import Pictures, to_pixels
from rwejax.storage.run_dir import Folder

SAMPLES = "samples.png"
"""File of a run folder: some images of the first classes, a row a class."""

_NAMED = 3  # classes that a sentence can hold
_CLASSES, _OF_A_CLASS, _PIXELS = 10, 6, 48  # of the samples


class Described(Protocol):
    """Images, in memory or streamed; `class_counts`, images of each class, is known of those in memory."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height and width in pixels, and channels, of one image."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""

    @property
    def fingerprint(self) -> str:
        """Changes with the images; see `rwejax.data.Dataset` and `rwejax.data.Stream`."""

    @property
    def mean(self) -> Any:
        """What is subtracted from the pixels, of each channel."""

    @property
    def std(self) -> Any:
        """What the rest is divided by."""


Images = TypeVar("Images", bound=Described)
Config = TypeVar("Config", bound=RunConfig)


def describe_images(images: Described) -> dict[str, Any]:
    """What meta.json says of the images.

    Args:
        images: train and validation images.
    """
    counts = getattr(images, "class_counts", None)
    return {
        "image_shape": list(images.image_shape),
        "classes": len(images.class_names),
        "class_names": list(images.class_names),
        **({} if counts is None else {"class_counts": list(counts)}),
        "fingerprint": images.fingerprint,
        "mean": images.mean.tolist(),
        "std": images.std.tolist(),
    }


def sample(images: data.Dataset) -> Pictures:
    """Train images to be looked at.

    Args:
        images: of the run.

    Returns:
        A row a class, from label 0 on; white where a class has fewer images than others.
    """
    found = []
    for label in range(min(_CLASSES, images.classes)):
        rows = np.flatnonzero(images.train_labels == label)[:_OF_A_CLASS]
        found.append(to_pixels(images.train_images[rows], images.mean, images.std, _PIXELS))
    sheet = np.full((len(found), max(map(len, found)), *found[0].shape[1:]), 255, np.uint8)
    for row, pixels in enumerate(found):
        sheet[row, : len(pixels)] = pixels
    return sheet


def load_same(config: RunConfig, meta: Mapping[str, Any], load: Callable[[], Images]) -> Images:
    """Load the images of a run, if they are still the same.

    Args:
        config: the run, which names the dataset.
        meta: what its meta.json says; without a fingerprint, as in a new run or in one of an older version, any images
            are the same that its other keys do not contradict.
        load: loads them.

    Raises:
        InputError: the images have changed, and what of them; or they cannot be loaded.
    """
    began = bool(meta)
    meta = {name: list(value) if name == "image_shape" else value for name, value in meta.items()}
    try:
        images = load()
    except InputError as error:
        # Too few images, for instance, since a class is gone.
        names, kind = _names_now(config), config.dataset.partition(":")[0]
        if began and names is None and kind in PATHS:
            raise InputError(
                f"dataset {config.dataset!r} is no longer there: give --dataset {kind}:PATH with the place where its "
                "images are now"
            ) from error
        if names and "class_names" in meta:
            same = names == meta["class_names"]
            what = (
                str(error).removeprefix(f"dataset {config.dataset!r} has ").rpartition(": ")[0]
                if same
                else _renamed(meta["class_names"], names)
            )
            raise _changed(config, what) from error
        raise
    found = describe_images(images)
    if "fingerprint" in meta:
        same = meta["fingerprint"] == found["fingerprint"]
    else:
        if began:
            _check_order(config, found["class_names"])
        same = all(meta.get(key, found[key]) == found[key] for key in ("classes", "image_shape"))
    if not same:
        raise _changed(config, _difference(meta, found))
    return images


def load_searched(config: Any, meta: Mapping[str, Any]) -> data.Dataset:
    """Load the images of a search, if they are still the same.

    Args:
        config: the search.
        meta: what its meta.json says.

    Raises:
        InputError: see `load_same`.
    """
    return load_same(config, meta, lambda: data.load_named(config))


def moved(config: Config, meta: Mapping[str, Any], dataset: str | None, data_dir: str | Path | None) -> Config:
    """The config of a run whose images lie elsewhere now.

    Args:
        config: as the run folder has it.
        meta: what its meta.json says.
        dataset: where the images are now; None: as before.
        data_dir: likewise.

    Raises:
        InputError: another place is given, and nobody can tell whether it has the same images.
    """
    asked = dataclasses.replace(  # type: ignore[type-var]
        config, dataset=dataset or config.dataset, data_dir=config.data_dir if data_dir is None else data_dir
    )
    if asked == config or (asked := asked.resolved()) == config.resolved():
        return config
    if "fingerprint" not in meta:
        raise InputError(
            f"dataset {config.dataset!r} cannot be compared with {asked.dataset!r}, for the run has no fingerprint of "
            "its images: resume it once where they were"
        )
    return dataclasses.replace(config, dataset=asked.dataset, data_dir=asked.data_dir)  # type: ignore[type-var]


def record_move(run: Folder, config: RunConfig) -> None:
    """Write down in a run folder that the images lie elsewhere now.

    Args:
        run: the folder.
        config: what `moved` returned.
    """
    place = {"dataset": config.dataset, "data_dir": None if config.data_dir is None else str(config.data_dir)}
    run.replace_config(config)
    meta = run.read_meta()
    run.write_meta({**meta, "moves": [*meta.get("moves", []), {"time": now(), **place}]})


def _names_now(config: RunConfig) -> list[str] | None:
    """The classes that are there, if images that cannot be loaded have any."""
    try:
        encode = registry.find(config.dataset, config.data_dir).encode
        return None if encode is None else list(encode()["train"].class_names)
    except InputError:
        return None


def _changed(config: RunConfig, difference: str) -> InputError:
    return InputError(
        f"the images have changed: {difference} in dataset {config.dataset!r}; restore them, or start a new run"
    )


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = now["class_names"]
    if before.get("class_names", names) != names:
        return _renamed(before["class_names"], names)
    if before.get("classes", len(names)) != len(names):
        return f"there are {len(names)} classes where there were {quoted(before['classes'])}"
    counts = now.get("class_counts", [])
    known = before.get("class_counts", counts)
    if known != counts and len(known) == len(counts):
        differ = [k for k, count in enumerate(counts) if count != known[k]]
        return _listed([f"class {quoted(names[k])} gives {counts[k]} images instead of {known[k]}" for k in differ])
    if before.get("image_shape", now["image_shape"]) != now["image_shape"]:
        return f"images are {now['image_shape']} instead of {quoted(tuple(before['image_shape']))}"
    return "classes and their counts are as before, but other pixels are drawn"


def _renamed(before: Sequence[str], now: Sequence[str]) -> str:
    gone = [f"class {quoted(name)} is gone" for name in before if name not in now]
    new = [f"class {quoted(name)} is new" for name in now if name not in before]
    return _listed([*gone, *new]) if gone or new else "the classes come in another order"


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _NAMED
    return ", ".join([*parts[:_NAMED], *([f"{more} more"] if more > 0 else [])])


def _check_order(config: RunConfig, names: Sequence[str]) -> None:
    """Refuse an old run whose classes were numbered in the order of texts, in which 10 comes before 2."""
    if config.dataset.startswith(folder.PREFIX) and list(names) != sorted(names):
        raise InputError(
            f"dataset {config.dataset!r} has its classes in another order than when the run began, since numbers in "
            "names are now sorted by value: start a new run, or resume this one with the version in its meta.json"
        )
