"""What networks are really worth: accuracies of trained networks, from a table or from a benchmark's own files.

    any space      a CSV file with a column of texts, `architecture` or `genome`; where there is a column `space`, or
                   `nodes` for the macro space, rows of another space or size are left out, and so are rows whose value
                   is empty, for which nobody has it
    nasbench201    NATS-Bench's file NATS-tss-*.pickle.pbz2 or folder NATS-tss-*-simple [1], by its package nats_bench
    darts          the folder of NAS-Bench-301's results_*.json files, or a part of it [2]

[1] Dong, Liu, Musial, Gabrys, "NATS-Bench: benchmarking NAS algorithms for architecture topology and size", TPAMI 2021.
[2] Siems et al., "NAS-Bench-301 and the case for surrogate benchmarks for neural architecture search", 2020.
"""

import csv
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rwejax.errors import InputError
from rwejax.spaces import Space
from rwejax.storage.files import check_regular

_TEXT_COLUMNS = ("architecture", "genome")
_NATS_SUFFIX = ".pbz2"
_NATS_COLUMNS = {
    "cifar10_accuracy": "cifar10",
    "cifar100_accuracy": "cifar100",
    "imagenet16_accuracy": "ImageNet16-120",
}
_NB301_PREFIX = "NetworkSelectorDatasetInfo:darts:"
_NB301_BLOCKS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """Networks and what they are worth. Row i of everything is one network of the table.

    Attributes:
        texts: architectures as the space writes them.
        genomes: (n, genes) int32, as they are written, not canonical.
        values: (n,) of the column.
        available: rows that the table has for the space, drawn or not.
        skipped: for each row of a CSV file that makes no sense and is left out, a sentence.
    """

    texts: tuple[str, ...]
    genomes: Int[np.ndarray, "n genes"]
    values: Float[np.ndarray, " n"]
    available: int
    skipped: tuple[str, ...] = ()


class _Row(NamedTuple):
    where: str
    text: str
    value: Any


def read(path: str | Path, column: str, space: Space, sample: int | None = None, seed: int = 0) -> Truth:
    """Read a table of trained networks.

    Args:
        path: the file or folder.
        column: what to read. Of NATS-Bench: cifar10_accuracy, cifar100_accuracy or imagenet16_accuracy, the test
            accuracy in % after 200 epochs, mean over the seeds; of NAS-Bench-301: a number in its files, such as
            test_accuracy or val_accuracy, in %.
        space: reads the texts.
        sample: rows to draw, all of them where there are fewer; None: all.
        seed: orders the rows; a smaller sample is the beginning of a larger one.

    Returns:
        The drawn rows in random order.

    Raises:
        InputError: the table is missing, empty or unreadable, has no such column, or no row that makes sense; or a row
            that is drawn from a benchmark's files makes none.
    """
    path = Path(path)
    try:
        available, row, skipped = _source(path, column, space)
    except OSError as error:
        raise InputError(f"truth {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    chosen = np.random.default_rng(seed).permutation(available)[:sample]
    rows = [row(int(number)) for number in chosen]
    genomes = [_genome(row, space) for row in rows]
    return Truth(
        texts=tuple(map(space.to_string, genomes)),
        genomes=np.array(genomes, np.int32),
        values=np.array([_number(row, column) for row in rows]),
        available=available,
        skipped=skipped,
    )


def _source(path: Path, column: str, space: Space) -> tuple[int, Callable[[int], _Row], tuple[str, ...]]:
    """How many rows there are, a function that reads one, and what is left out."""
    if not path.exists():
        raise InputError(f"truth {str(path)!r} does not exist: check the path")
    if space.name == "nasbench201" and (path.is_dir() or path.suffix == _NATS_SUFFIX):
        return *_nats_bench(path, column), ()
    if space.name == "darts" and path.is_dir():
        return *_nasbench301(path, column), ()
    if path.is_dir():
        raise InputError(f"truth {str(path)!r} is a folder: give a CSV file for space {space.name!r}")
    rows, skipped = [], []
    for row in _csv(path, column, space):
        try:
            _genome(row, space)
            _number(row, column)
        except InputError as error:
            skipped.append(str(error))
        else:
            rows.append(row)
    if not rows:
        raise InputError(skipped[0])
    return len(rows), rows.__getitem__, tuple(skipped)


def _genome(row: _Row, space: Space) -> Int[np.ndarray, " genes"]:
    try:
        return space.from_string(row.text)
    except ValueError as error:
        raise InputError(f"{row.where} is no architecture of space {space.name!r} ({error}): mend it") from error


def _number(row: _Row, column: str) -> float:
    try:
        value = float(row.value)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{row.where} has {column} {row.value or ''!r}, which is no finite number: mend it")
    return value


def _csv(path: Path, column: str, space: Space) -> list[_Row]:
    check_regular(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            # The number of a row's last line: a quoted text may hold line breaks.
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"truth {str(path)!r} is no CSV file ({error}): write comma-separated values") from error
    if not header:
        raise InputError(f"truth {str(path)!r} is empty: give a CSV file with a line of column names")
    texts = next((name for name in _TEXT_COLUMNS if name in header), None)
    if texts is None:
        raise InputError(
            f"truth {str(path)!r} has no column of architectures among {', '.join(header)}: "
            f"call it {' or '.join(_TEXT_COLUMNS)}"
        )
    if column not in header:
        raise _no_column(path, column, [name for name in header if name not in (*_TEXT_COLUMNS, "space")])
    wanted = {"space": space.name}
    if hasattr(space, "nodes"):
        wanted["nodes"] = str(space.nodes)
    found = [
        _Row(f"line {line} of truth {str(path)!r}", row[texts] or "", row[column])
        for line, row in rows
        if row[column] != "" and all(row.get(name, value) == value for name, value in wanted.items())
    ]
    if not found:
        described = ", ".join(f"{name} {value!r}" for name, value in wanted.items())
        raise InputError(
            f"truth {str(path)!r} has no rows of {described} with column {column!r}: give another file or another space"
        )
    return found


def _nats_bench(path: Path, column: str) -> tuple[int, Callable[[int], _Row]]:
    if column not in _NATS_COLUMNS:
        raise _no_column(path, column, list(_NATS_COLUMNS))
    try:
        import nats_bench
    except ImportError as error:
        raise InputError(
            f"truth {str(path)!r} is NATS-Bench's, whose reader is not installed: pip install 'rwejax[nats]'"
        ) from error
    try:
        api = nats_bench.create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)
        count = len(api)
    except Exception as error:
        raise _no_nats_bench(path, error) from error

    def row(number: int) -> _Row:
        try:
            found = api.get_more_info(number, _NATS_COLUMNS[column], hp="200", is_random=False)
            return _Row(f"architecture {number} of truth {str(path)!r}", api.arch(number), found["test-accuracy"])
        except Exception as error:
            raise _no_nats_bench(path, error) from error

    return count, row


def _no_nats_bench(path: Path, error: Exception) -> InputError:
    # The package knows no errors of its own: a broken file may end in any of Python's.
    words = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"truth {str(path)!r} cannot be read by NATS-Bench ({words}): "
        "give a CSV file, NATS-tss-*.pickle.pbz2 or the folder NATS-tss-*-simple"
    )


def _nasbench301(path: Path, column: str) -> tuple[int, Callable[[int], _Row]]:
    files = sorted(path.rglob("*.json"))
    if not files:
        raise InputError(f"truth {str(path)!r} holds no JSON files: give the folder of NAS-Bench-301's results")

    def row(number: int) -> _Row:
        file = files[number]
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            # Validation results stand inside, the test result beside the network.
            values = {**content["info"][0], **content} if content.get("info") else dict(content)
            text = _genotype(content["optimized_hyperparamater_config"])
        except (ValueError, AttributeError, TypeError, LookupError) as error:
            raise InputError(
                f"truth {str(file)!r} is no result of NAS-Bench-301 ({type(error).__name__} {error}): "
                "mend it or take it out of the folder"
            ) from error
        if column not in values:
            numbers = [name for name, value in values.items() if isinstance(value, int | float)]
            raise _no_column(file, column, numbers)
        return _Row(f"truth {str(file)!r}", text, values[column])

    return len(files), row


def _genotype(config: dict[str, Any]) -> str:
    """DARTS' text of a configuration that names the inputs of a block, and the operations of the edges from them.

    The edges of a cell are numbered block by block, and in a block by the input that they come from. The first block,
    node 2, can only read both inputs of the cell and is not named.
    """
    cells = []
    for cell in ("normal", "reduce"):
        branches: list[str] = []
        first = 0
        for node in range(2, 2 + _NB301_BLOCKS):
            named = "0_1" if node == 2 else config[f"{_NB301_PREFIX}inputs_node_{cell}_{node}"]
            sources = [int(source) for source in named.split("_")]
            edges = [f"{_NB301_PREFIX}edge_{cell}_{first + source}" for source in sources]
            branches += [f"('{config[edge]}', {source})" for edge, source in zip(edges, sources, strict=True)]
            first += node
        cells.append(f"{cell}=[{', '.join(branches)}], {cell}_concat=range(2, 6)")
    return f"Genotype({', '.join(cells)})"


def _no_column(path: Path, column: str, known: list[str]) -> InputError:
    return InputError(f"truth {str(path)!r} has no column {column!r}: it has {', '.join(known)}")
