"""A table of image files and their labels, in a CSV file of the user's own."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rwejax.data.files import SPLITS, Files, Listing, check_classes, make_source, natural, refusing_unreadable
from rwejax.data.sources import Source
from rwejax.errors import InputError

PREFIX = "csv:"


def find(name: str) -> Source:
    """The images that `csv:FILE` names in its columns `path` and `label`; classes are numbered in natural order.

    Paths are relative to the folder of the file. A column `split` may say train, val or test of each.

    Args:
        name: `csv:FILE`; a ~ is the user's home.

    Raises:
        InputError: FILE or an image in it is missing, a column or a label is, or the images are too few.
    """
    given = name.removeprefix(PREFIX)
    if not given:
        raise InputError(f"dataset {name!r} names no file: write 'csv:FILE', FILE having the columns path and label")
    file = Path(os.path.expanduser(given))
    if not file.is_file():
        raise InputError(f"dataset {name!r} is no file: write 'csv:FILE' with a FILE of the columns path and label")
    with refusing_unreadable(name):
        rows: dict[Path, tuple[str, str]] = {}
        repeated = 0
        for line, written, label, split in _rows(name, file):
            path = file.parent / written
            if path in rows and rows[path] != (label, split):
                raise InputError(f"line {line} of dataset {name!r} names {str(path)!r} again, otherwise: keep one line")
            repeated += path in rows
            rows[path] = label, split
            if not path.is_file():
                raise InputError(
                    f"line {line} of dataset {name!r} names {str(path)!r}, which is no file: mend the path"
                )
        listing = _list(name, file, rows, f"{repeated} lines that repeat another" if repeated else "")
        check_classes(listing, "class", "leave the class out")
        return make_source(listing)


def _rows(name: str, file: Path) -> Iterator[tuple[int, str, str, str]]:
    """Number, path, label and split of each line."""
    called = {alias: split for split, aliases in SPLITS.items() for alias in aliases}
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            columns = [column.strip().lower() for column in next(reader, [])]
            for column in ("path", "label"):
                if columns.count(column) != 1:
                    raise InputError(
                        f"dataset {name!r} has no column {column!r} in its first line: name the columns path and "
                        "label, with a comma between them"
                    )
            for cells in filter(None, reader):
                fields = dict(zip(columns, map(str.strip, cells), strict=False))
                split = called.get(fields.get("split", "train").lower())
                if len(cells) != len(columns) or not fields["path"] or not fields["label"] or split is None:
                    raise InputError(
                        f"line {reader.line_num} of dataset {name!r} has no path, label or known split: "
                        f"give it {', '.join(columns)}"
                    )
                yield reader.line_num, fields["path"], fields["label"], split
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"dataset {name!r} is no table in UTF-8 ({error}): save it as CSV") from error


def _list(name: str, file: Path, rows: dict[Path, tuple[str, str]], left_out: str) -> Listing:
    labels = {label: i for i, label in enumerate(sorted({label for label, _ in rows.values()}, key=natural))}
    if len(labels) < 2:
        raise InputError(f"dataset {name!r} has {len(labels) or 'no'} class: give images of two at least")
    splits = {}
    for split in SPLITS:
        # By class, then by path, so that the order of the lines means nothing.
        chosen = sorted((labels[label], path) for path, (label, where) in rows.items() if where == split)
        if chosen:
            classes, paths = zip(*chosen, strict=True)
            splits[split] = Files(list(paths), np.array(classes, np.int32))
    if "train" not in splits:
        raise InputError(f"dataset {name!r} has no line of split train: add some, or leave out the column split")
    return Listing(name, file.parent, tuple(labels), splits, left_out)
