"""A correlation's result from the files that it has written: its table, and the scores beside it."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from rwejax import spaces
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.output import scores_path
from rwejax.correlating.result import CorrelateResult, Measured
from rwejax.correlating.statistics import Correlation
from rwejax.errors import InputError
from rwejax.storage.files import read_whole
from rwejax.storage.schema import Natural, Number, Positive, Seconds, Text, convert

_SIZES = ("nodes", "layers", "cells", "channels")

_MOST_BYTES = 2**28

Cells = Mapping[str, str]


def read_result(table: str | Path) -> CorrelateResult:
    """What a correlation has measured so far, from its table and the file of scores beside it.

    Args:
        table: the CSV file that `rwejax.correlate` has written.

    Returns:
        What `rwejax.correlate` returned; sizes that its config left open are named.

    Raises:
        InputError: a file is missing, or no such table, or the two do not fit together.
    """
    table = Path(table)
    rows = _read_table(table)
    header, *scored = _read(scores_path(table))
    try:
        found = [_parsed(row) for row in rows]
        first, names = found[0], [each.estimator for each in found]
        shape = tuple(first.image_shape)
        config = _config(first, table)
        space = spaces.get(config.space, input_shape=shape, classes=first.classes, **config.sizes)
        if header[2:] != names:
            raise ValueError(f"the scores are of {', '.join(header[2:])}")
        if any(len(line) != len(header) for line in scored) or not scored:
            raise ValueError("the scores have lines of other lengths than the first")
        texts, values, *scores = zip(*scored, strict=True)
        genomes = np.array([space.from_string(text) for text in texts], np.int32)
        return CorrelateResult(
            config=config,
            space=space,
            texts=texts,
            values=np.array(convert(values, list[Number], strict=False)),
            macs=space.macs(np.asarray(space.canonical(genomes))),
            available=first.available,
            measured=tuple(_measured(row, each) for row, each in zip(found, scores, strict=True)),
            output=table,
        )
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"table {str(table)!r} and its scores are broken or do not fit together ({error}): correlate again"
        ) from error


class _Row(msgspec.Struct):
    """A row of the table: an estimator's correlation, and the config of all; what is undefined or open is missing."""

    estimator: Text
    space: Text
    truth: Text
    column: Text
    dataset: Text
    image_shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=2**16)]], msgspec.Meta(min_length=3, max_length=3)]
    classes: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    seconds: Seconds
    compile_seconds: Seconds
    dead: Natural
    available: Natural
    estimators: Text
    sample: Natural
    seeds: Natural
    seed: Natural
    together: Positive = 1
    data_dir: Text | None = None
    image_size: Natural | None = None
    images: Natural | None = None
    nodes: Natural | None = None
    layers: Natural | None = None
    cells: Natural | None = None
    channels: Natural | None = None
    spearman: Number | None = None
    low: Number | None = None
    high: Number | None = None
    kendall: Number | None = None
    partial: Number | None = None
    quartiles: Number | None = None
    recall: Number | None = None


def _parsed(cells: Cells) -> _Row:
    given: dict[str, Any] = {name: text for name, text in cells.items() if text}
    if "image_shape" in given:
        given["image_shape"] = given["image_shape"].split("x")
    return convert(given, _Row, strict=False)


def _read_table(table: Path) -> list[Cells]:
    header, *lines = _read(table)
    for name in ("estimator", *Correlation._fields, "image_shape"):
        if name not in header:
            raise InputError(
                f"table {str(table)!r} has no column {name!r}: give one that this version of rwejax has written"
            )
    if not lines:
        raise InputError(f"table {str(table)!r} has no rows: correlate again")
    return [dict(zip(header, line, strict=False)) for line in lines]


def _read(path: Path) -> list[list[str]]:
    try:
        text = read_whole(path, _MOST_BYTES).decode("utf-8")
        return list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except OSError as error:
        raise InputError(f"table {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"table {str(path)!r} is no CSV file ({error}): give one that rwejax correlate wrote"
        ) from error


def _config(row: _Row, table: Path) -> CorrelateConfig:
    """The config; what is empty in the table is open."""
    names = ("column", "sample", "seeds", "seed", "dataset", "image_size", "images", *_SIZES)
    config = CorrelateConfig(
        space=row.space,
        truth=Path(row.truth),
        estimator=row.estimators,
        data_dir=None if row.data_dir is None else Path(row.data_dir),
        output=table,
        **{name: getattr(row, name) for name in names},
    )
    config.validate()
    return config


def _measured(row: _Row, scores: Sequence[str]) -> Measured:
    given = {name: getattr(row, name) for name in Correlation._fields}
    return Measured(
        estimator=row.estimator,
        scores=np.array([-math.inf if text == "-inf" else convert(text, Number, strict=False) for text in scores]),
        correlation=Correlation(**{name: math.nan if value is None else value for name, value in given.items()}),
        dead=row.dead,
        seconds=row.seconds,
        compile_seconds=row.compile_seconds,
        together=row.together,
    )
