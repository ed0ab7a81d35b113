"""Public sets, read from disk through TensorFlow Datasets without TensorFlow.

The folder of a set is found by its name alone: importing TensorFlow Datasets takes longer than loading a cached set.
"""

import functools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rwejax.data.images import MODES, PIECE, Split, stack
from rwejax.data.sources import Encoded, Source, fingerprint
from rwejax.data.tfds_download import check_features, load_tfds, prepare, quiet, unknown, why
from rwejax.errors import InputError

NAME = re.compile(r"(?P<set>\w+)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?", re.ASCII)
VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
INFO = "dataset_info.json"
EMPTY = "it holds empty records"  # zeros, where a file system lost the content, parse as records without fields


class Unlabelled(InputError):
    """A split holds an image without a label."""


def find(name: str, data_dir: str | Path | None) -> Source:
    """Finds a set of TensorFlow Datasets on disk, or prepares it.

    Args:
        name: NAME, NAME/CONFIG or NAME:VERSION.
        data_dir: the folder of all sets; by default TFDS_DATA_DIR, else the default of TensorFlow Datasets.

    Raises:
        InputError: the name is unknown, the set is broken, or it is not on disk and cannot be prepared.
    """
    folder, splits, mark = _find_splits(name, data_dir)
    test_split = next((split for split in ("test", "validation") if split in splits), None)
    read = functools.partial(_read, name, folder)
    return Source(name, str(folder.resolve()), mark, test_split, read)


def encoded(name: str, data_dir: str | Path | None) -> dict[str, Encoded]:
    """The train split of a set of TensorFlow Datasets, found or prepared as by `find`, and its test and validation.

    A test or validation split is left out where the set has none or keeps its labels to itself, as the test split of
    `imagenet2012` does.

    Args:
        name: NAME, NAME/CONFIG or NAME:VERSION.
        data_dir: the folder of all sets, as for `find`.

    Raises:
        InputError: as `find` does, or the images are not of 8 bits and 1, 3 or 4 channels.
    """
    folder, splits, _ = _find_splits(name, data_dir)
    digest = fingerprint(folder, _files(folder), times=False)
    found = {
        split: _encoded(name, folder, split, digest) for split in ("train", "validation", "test") if split in splits
    }
    return {split: images for split, images in found.items() if split == "train" or _labelled(images)}


def _find_splits(name: str, data_dir: str | Path | None) -> tuple[Path, list[str], str]:
    """The folder of a set, the names of its splits, and the fingerprint of its files."""
    root = Path(os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"))
    match = NAME.fullmatch(name)
    if match is None:
        raise unknown(name)
    if root.exists() and not root.is_dir():
        raise InputError(f"data_dir {str(root)!r} is a file: give the folder that holds the prepared datasets")
    try:
        folder = _locate(name, root / match["set"], match["config"], match["version"])
        if folder is None:
            folder = prepare(name, root)
        splits = _splits(name, folder)
        mark = fingerprint(folder, _files(folder))
    except OSError as error:
        raise InputError(f"dataset {name!r} in {str(root)!r} is unreadable ({error}): check the folder") from error
    if "train" not in splits:
        raise InputError(
            f"dataset {name!r} has no train split but {', '.join(splits) or 'none'}: choose a set that has one"
        )
    return folder, splits, mark


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _locate(name: str, home: Path, config: str | None, version: str | None) -> Path | None:
    """The folder of the newest prepared version, or None: home/VERSION, or home/CONFIG/VERSION."""
    folder = home / config if config else home
    newest = _newest(name, folder, version)
    if newest is not None or config or not folder.is_dir():
        return newest
    configs = {path.name: found for path in sorted(folder.iterdir()) if (found := _newest(name, path, version))}
    if len(configs) > 1:
        raise InputError(
            f"dataset {name!r} is prepared in several configurations, {', '.join(configs)}: "
            f"name one, as in '{home.name}/{next(iter(configs))}'"
        )
    return next(iter(configs.values()), None)


def _newest(name: str, folder: Path, version: str | None) -> Path | None:
    if not folder.is_dir():
        return None
    versions = [path for path in folder.iterdir() if VERSION.fullmatch(path.name) and version in (None, path.name)]
    prepared = [path for path in versions if (path / INFO).exists()]
    if versions and not prepared:
        raise _broken(name, versions[0], f"it holds no {INFO}")
    return max(prepared, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def _splits(name: str, folder: Path) -> list[str]:
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        return [split["name"] for split in info["splits"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(name, folder, f"its {INFO} cannot be parsed") from error


def _read(name: str, folder: Path, split: str, image_size: int | None) -> Split:
    with quiet():
        data, features = _open(name, folder, split)
        labels = np.full(len(data), -1, np.int32)
        images = stack(
            name,
            _pieces(name, folder, data, labels),
            len(data),
            channels=features["image"].shape[-1],
            image_size=image_size,
            describe=lambda number: f"image {number} of the {split} split",
        )
    class_names = tuple(features["label"].names)
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise _unlabelled(name, split)
    return Split(images, labels, class_names)


def _encoded(name: str, folder: Path, split: str, digest: str) -> Encoded:
    with quiet():
        data, features = _open(name, folder, split)
    class_names = tuple(features["label"].names)
    classes = len(class_names)

    def read(row: int) -> tuple[bytes, int]:
        try:
            record = data[row]
            image, label = record["image"], int(record["label"])
            if image is None:
                raise ValueError(EMPTY)
        except Exception as error:
            raise _broken(name, folder, why(error)) from error
        if not 0 <= label < classes:
            raise _unlabelled(name, split)
        return image, label

    def labels() -> np.ndarray:
        found = _labels(name, folder, data, features)
        if found.min() < 0 or found.max() >= classes:
            raise _unlabelled(name, split)
        return found

    return Encoded(
        name=name,
        count=len(data),
        class_names=class_names,
        digest=digest,
        read=read,
        labels=labels,
        describe=lambda row: f"image {row} of the {split} split",
    )


def _labels(name: str, folder: Path, data: Any, features: Any) -> np.ndarray:
    """The labels of all records, the rest of which is not parsed: that halves the time."""
    labels = np.empty(len(data), np.int32)
    with quiet():
        label_alone = load_tfds(name).features.FeaturesDict({"label": features["label"]})
        try:
            for start in range(0, len(data), PIECE):
                records = data.data_source.__getitems__(range(start, min(start + PIECE, len(data))))
                found = [label_alone.deserialize_example_np(record)["label"] for record in records]
                labels[start : start + PIECE] = found
        except Exception as error:
            raise _broken(name, folder, why(error)) from error
    return labels


def _labelled(images: Encoded) -> bool:
    """Whether the first image has a label: test splits have labels for all images or for none."""
    try:
        images.read(0)
    except Unlabelled:
        return False
    return True


def _open(name: str, folder: Path, split: str) -> tuple[Any, Any]:
    """The records of a split in random access, their images left encoded, and the features of the set."""
    tfds = load_tfds(name)
    try:
        builder = tfds.builder_from_directory(folder)
        features = builder.info.features
    except Exception as error:  # parsers of two JSON files and of two protocol buffers, each with its own errors
        raise _broken(name, folder, why(error)) from error
    check_features(name, features)
    channels, dtype = features["image"].shape[-1], features["image"].np_dtype
    if channels not in MODES or dtype != np.uint8:
        raise InputError(
            f"dataset {name!r} has images of {channels} channels of {np.dtype(dtype)}: "
            "choose a set of 8-bit images of 1, 3 or 4 channels"
        )
    try:
        # Encoded images, because decoding and resizing one at a time keeps only small ones in memory.
        data = builder.as_data_source(split=split, decoders={"image": tfds.decode.SkipDecoding()})
        len(data)
    except NotImplementedError as error:
        raise InputError(
            f"dataset {name!r} in {str(folder)!r} is prepared in a format that only TensorFlow reads: "
            "prepare it once more in another folder, with file_format='array_record'"
        ) from error
    except Exception as error:  # array_record says RuntimeError, the rest of TensorFlow Datasets anything
        raise _broken(name, folder, why(error)) from error
    return data, features


def _pieces(name: str, folder: Path, data: Any, labels: np.ndarray) -> Iterator[list[bytes]]:
    """Encoded images, a piece at a time; fills in the labels on the way."""
    for start in range(0, len(data), PIECE):
        rows = range(start, min(start + PIECE, len(data)))
        try:
            records = data.__getitems__(rows)
            images = [record["image"] for record in records]
            if None in images:
                raise ValueError(EMPTY)
            labels[rows.start : rows.stop] = [record["label"] for record in records]
        except Exception as error:
            raise _broken(name, folder, why(error)) from error
        yield images


def _broken(name: str, folder: Path, reason: str) -> InputError:
    return InputError(
        f"dataset {name!r} in {str(folder)!r} is broken ({reason}): delete this folder and prepare or copy it again"
    )


def _unlabelled(name: str, split: str) -> Unlabelled:
    return Unlabelled(f"dataset {name!r} has images without a label in its {split} split: choose another set")
