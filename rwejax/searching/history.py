"""history.csv: how a search went, one row a generation.

    generation,evaluations,hypervolume,best,seconds,evaluation,planning,ask,tell,recording,other

The columns are those of `Progress`, and the seconds of each of its parts. Seconds are empty where they are unknown.
"""

import dataclasses
import math
from pathlib import Path
from typing import Literal

import msgspec

from rwejax.searching.observers import PARTS, Progress
from rwejax.storage.lines import read_lines
from rwejax.storage.schema import Natural, Number, Positive, Seconds, convert

FILE = "history.csv"
HEADER = ",".join(("generation", "evaluations", "hypervolume", "best", "seconds", *PARTS))


@dataclasses.dataclass(frozen=True)
class Generation:
    """A row.

    Attributes:
        generation: finished generations.
        evaluations: finished evaluations.
        hypervolume: as in `Progress`.
        best: as in `Progress`.
        seconds: of the generation; NaN where they are unknown.
        parts: how these are spent, for each of `PARTS`.
    """

    generation: int
    evaluations: int
    hypervolume: float
    best: float
    seconds: float
    parts: dict[str, float]


def to_row(progress: Progress) -> str:
    """One row, without its end; seconds are rounded to microseconds.

    Args:
        progress: after the generation; seconds that are NaN give empty cells.

    Examples:
        >>> parts = dict.fromkeys(PARTS, 0.5)
        >>> to_row(Progress(2, 8, 20.5, 31.25, 8 / 3, 0.0, 3.0, parts))
        '2,8,31.25,20.5,3.0,0.5,0.5,0.5,0.5,0.5,0.5'
    """
    seconds = [progress.seconds, *(progress.parts[name] for name in PARTS)]
    texts = ["" if math.isnan(value) else str(round(value, 6)) for value in seconds]
    values = progress.generation, progress.evaluations, progress.hypervolume, progress.best
    return ",".join([*map(str, values), *texts])


def read(path: Path) -> list[Generation]:
    """The complete rows of a run's history.csv; a last row that a kill has torn is left out.

    Args:
        path: the file; one that is missing, as of old runs, has none.

    Raises:
        InputError: it is unreadable, or another row than the last is broken.
    """
    names: list[str] = []

    def parse(line: bytes, number: int) -> Generation | None:
        cells = line.decode().rstrip("\r\n").split(",")
        if number == 0:
            names.extend(cells)
            return None
        row = convert(dict(zip(names, cells, strict=True)), _Row, strict=False)
        seconds, *parts = (_seconds(getattr(row, name)) for name in ("seconds", *PARTS))
        parts_by_name = dict(zip(PARTS, parts, strict=True))
        return Generation(row.generation, row.evaluations, row.hypervolume, float(row.best), seconds, parts_by_name)

    return [row for row in read_lines(path, parse) if row is not None]


class _Row(msgspec.Struct):
    """A row; columns of other versions do not matter. The best is infinite where no network has a score."""

    generation: Positive
    evaluations: Natural
    hypervolume: Number
    best: float
    seconds: Seconds | Literal[""] = ""
    evaluation: Seconds | Literal[""] = ""
    planning: Seconds | Literal[""] = ""
    ask: Seconds | Literal[""] = ""
    tell: Seconds | Literal[""] = ""
    recording: Seconds | Literal[""] = ""
    other: Seconds | Literal[""] = ""


def _seconds(cell: float | str) -> float:
    return math.nan if cell == "" else float(cell)
