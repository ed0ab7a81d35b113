"""A correlation's result from the files that it has written: its table, and the scores beside it."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rwejax import spaces
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.output import scores_path
from rwejax.correlating.result import CorrelateResult, Measured
from rwejax.correlating.statistics import Correlation
from rwejax.errors import InputError

_SIZES = ("nodes", "layers", "cells", "channels")

Row = Mapping[str, str]


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
    names = [row["estimator"] for row in rows]
    try:
        config = _config(rows[0], table)
        shape = tuple(int(length) for length in rows[0]["image_shape"].split("x"))
        space = spaces.get(config.space, input_shape=shape, classes=int(rows[0]["classes"]), **config.sizes)
        texts, values, *scores = zip(*scored, strict=True)
        if header[2:] != names:
            raise ValueError(f"the scores are of {', '.join(header[2:])}")
        genomes = np.array([space.from_string(text) for text in texts], np.int32)
        return CorrelateResult(
            config=config,
            space=space,
            texts=texts,
            values=np.array(values, float),
            macs=space.macs(np.asarray(space.canonical(genomes))),
            available=int(rows[0]["available"]),
            measured=tuple(_measured(row, np.array(each, float)) for row, each in zip(rows, scores, strict=True)),
            output=table,
        )
    except (ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"table {str(table)!r} and the scores beside it do not fit together ({error}): correlate again"
        ) from error


def _read_table(table: Path) -> list[Row]:
    header, *lines = _read(table)
    rows: list[Row] = [dict(zip(header, line, strict=False)) for line in lines]
    for name in ("estimator", *Correlation._fields, "image_shape"):
        if name not in header:
            raise InputError(
                f"table {str(table)!r} has no column {name!r}: give one that this version of rwejax has written"
            )
    if not rows:
        raise InputError(f"table {str(table)!r} has no rows: correlate again")
    return rows


def _read(path: Path) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.reader(file)) or [[]]
    except OSError as error:
        raise InputError(f"table {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"table {str(path)!r} is no CSV file ({error}): give one that rwejax correlate wrote"
        ) from error


def _config(row: Row, table: Path) -> CorrelateConfig:
    """The config; what is empty in the table is open."""
    numbers = {name: int(row[name]) for name in ("image_size", "images", *_SIZES) if row[name]}
    return CorrelateConfig(
        space=row["space"],
        truth=Path(row["truth"]),
        column=row["column"],
        estimators=row["estimators"],
        sample=int(row["sample"]),
        seeds=int(row["seeds"]),
        seed=int(row["seed"]),
        dataset=row["dataset"],
        data_dir=Path(row["data_dir"]) if row["data_dir"] else None,
        output=table,
        **numbers,
    )


def _measured(row: Row, scores: np.ndarray) -> Measured:
    correlation = Correlation(**{name: float(row[name]) if row[name] else math.nan for name in Correlation._fields})
    return Measured(
        estimator=row["estimator"],
        scores=scores,
        correlation=correlation,
        dead=int(row["dead"]),
        seconds=float(row["seconds"]),
        compile_seconds=float(row["compile_seconds"]),
    )
