"""A folder of the user's own images: one folder a class, perhaps below train, validation and test."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rwejax.data.files import (
    SPLITS,
    Files,
    Listing,
    check_classes,
    make_source,
    natural,
    refusing_unreadable,
    suffixes,
)
from rwejax.data.sources import Source
from rwejax.errors import InputError

PREFIX = "folder:"


def find(name: str) -> Source:
    """The images in `folder:PATH`, one folder a class; classes are numbered in the order of their names, 2 before 10.

    Where PATH holds the folder train, and perhaps val, valid or validation, and test, each with the class folders,
    these are the splits. Images may lie in folders below that of their class.

    Args:
        name: `folder:PATH`; a ~ is the user's home.

    Raises:
        InputError: PATH is missing or unreadable, or does not hold at least two folders of enough images.
    """
    with refusing_unreadable(name):
        listing = _list(name)
        check_classes(listing, "class folder", "move the folder elsewhere")
        return make_source(listing)


def class_names(name: str) -> tuple[str, ...]:
    """Names of the classes in `folder:PATH`, by label.

    Args:
        name: `folder:PATH`; a ~ is the user's home.

    Raises:
        InputError: PATH is missing or unreadable, or does not hold at least two folders.
    """
    with refusing_unreadable(name):
        return _list(name).class_names


def _list(name: str) -> Listing:
    given = name.removeprefix(PREFIX)
    if not given:
        raise InputError(f"dataset {name!r} names no folder: write 'folder:PATH', PATH holding one folder a class")
    root = Path(os.path.expanduser(given))
    if not root.exists():
        raise InputError(f"dataset {name!r} does not exist: write 'folder:PATH' with the PATH of an existing folder")
    if not root.is_dir():
        raise InputError(f"dataset {name!r} is not a folder but a file: name the folder that holds one folder a class")
    left_out: Counter[str] = Counter()
    homes = _find_splits(root, left_out)
    classes = _folders(homes["train"])
    if len(classes) < 2:
        found = f"only the class folder {classes[0].name!r}" if classes else "no class folders"
        raise InputError(f"dataset {name!r} holds {found}: put the images into one folder a class, two at least")
    labels = {path.name: label for label, path in enumerate(classes)}
    splits = {split: _list_split(name, home, labels, left_out) for split, home in homes.items()}
    class_names = tuple(os.fsencode(each).decode(errors="backslashreplace") for each in labels)
    return Listing(name, root, class_names, splits, _say(left_out))


def _find_splits(root: Path, left_out: Counter[str]) -> dict[str, Path]:
    """The folders that hold the class folders of each split: the root alone, unless it has a folder train."""
    called = {alias: split for split, aliases in SPLITS.items() for alias in aliases}
    folders = _folders(root)
    found = {split: path for path in folders if (split := called.get(path.name.lower()))}
    # Without these, or if there are other folders beside a single train, the folders are classes.
    if "train" not in found or len(_folders(found["train"])) < 2 or len(folders) > len(found) == 1:
        return {"train": root}
    for path in folders:
        if path not in found.values():
            left_out[f"folders {path.name!r} beside train"] += 1
    for split in set(found) - {"train"}:
        if not _folders(found[split]):
            left_out[f"folders {found.pop(split).name!r} without class folders"] += 1
    return {split: found[split] for split in SPLITS if split in found}


def _folders(root: Path) -> list[Path]:
    paths = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(paths, key=lambda path: natural(path.name))


def _list_split(name: str, home: Path, labels: dict[str, int], left_out: Counter[str]) -> Files:
    paths: list[Path] = []
    counts = [0] * len(labels)
    for file in home.iterdir():
        if file.suffix.lower() in suffixes() and not file.name.startswith(".") and file.is_file():
            left_out["images outside the class folders"] += 1
    for folder in _folders(home):
        if folder.name not in labels:
            raise InputError(
                f"folder {str(folder)!r} of dataset {name!r} is no class, for train has none of that name: "
                "give both the same class folders"
            )
        found = sorted(_walk(folder, left_out))
        paths += found
        counts[labels[folder.name]] = len(found)
    if not paths:
        raise InputError(f"folder {str(home)!r} of dataset {name!r} holds no images: fill it or move it elsewhere")
    return Files(paths, np.repeat(np.arange(len(labels), dtype=np.int32), counts))


def _walk(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """The images in a folder and below it; links are followed, each folder once."""
    seen = set()
    for home, folders, names in os.walk(folder, followlinks=True, onerror=_fail):
        if (place := os.path.realpath(home)) in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = [each for each in folders if not each.startswith(".")]
        for file in (Path(home, each) for each in names if not each.startswith(".")):
            if not file.is_file():
                left_out["links to nothing"] += 1
            elif file.suffix.lower() not in suffixes():
                left_out[f"files of type {file.suffix.lower() or 'none'}"] += 1
            else:
                yield file


def _fail(error: OSError) -> None:
    raise error


def _say(left_out: Counter[str]) -> str:
    def counted(what: str, count: int) -> str:
        many, _, rest = what.partition("s ")
        return f"1 {many} {rest}" if count == 1 else f"{count} {what}"

    return ", ".join(counted(*each) for each in sorted(left_out.items()))
