"""Scores of the networks of whole tables by one pass, kept in files: what is there is not scored again."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rwejax import data, spaces
from rwejax.correlating import tables as accuracies
from rwejax.evaluate import estimators
from rwejax.evaluate.forward import ForwardPass
from rwejax.objectives import FORWARD_SCORES, seen_together
from rwejax.storage.atomic import replacing

from . import tables

SCORES = tuple(each for name in seen_together(("rwe",)) for each in FORWARD_SCORES[name])
"""What a search records of a pass of random-weight evaluation with `--record all`."""
WHOLE = "nasbench201_all"
"""The whole table of NAS-Bench-201, whose truth is looked up and not sampled."""
_SLICE = 320  # networks between two writings


class Scored(NamedTuple):
    """The networks of a table. Row i of everything is one network.

    Attributes:
        space: of a search's sizes.
        written: genomes as the table writes them, (n, genes).
        genomes: the same, canonical; networks that are one stand as often as the table has them.
        accuracy: of the trained networks, in %.
        scores: by name.
    """

    space: Any
    written: np.ndarray
    genomes: np.ndarray
    accuracy: np.ndarray
    scores: dict[str, np.ndarray]


def scored(name: str, truth: Path, folder: Path, setting: Any) -> Scored:
    """The networks of a table and their scores, which are computed where they are missing.

    Args:
        name: of a table of `tables.TABLES`, or `WHOLE`.
        truth: folder of the published tables.
        folder: of the scores that are kept.
        setting: has `dataset`, `data_dir`, `image_size`, `train_images`, `validation_images` and `seed`.

    Raises:
        InputError: the table or the images cannot be used.
    """
    table = tables.TABLES["nasbench201" if name == WHOLE else name]
    path = truth / f"{name}.csv" if name == WHOLE else tables.path(name, truth)
    dataset = data.load_named(setting)
    sizes = table.proxy or dict(spaces.get_class(table.space).proxy_sizes)
    space = spaces.get(table.space, input_shape=dataset.image_shape, classes=dataset.classes, **sizes)
    read = accuracies.read(path, table.column, space)
    genomes = np.asarray(space.canonical(read.genomes))
    file = folder / f"{name}-{setting.dataset}-{setting.image_size}-{setting.seed}.csv"
    found = _complete(file, space, dataset, np.unique(genomes, axis=0), setting.seed)
    rows = np.array([found[space.to_string(genome)] for genome in genomes])
    return Scored(space, read.genomes, genomes, read.values, dict(zip(SCORES, rows.T, strict=True)))


def _complete(file: Path, space: Any, dataset: Any, genomes: np.ndarray, seed: int) -> dict[str, list[float]]:
    """The scores of every text, those that the file lacks added slice by slice."""
    found = _read(file)
    missing = np.array([genome for genome in genomes if space.to_string(genome) not in found], np.int32)
    if not len(missing):
        return found
    scores = [estimators.FORWARD[name] for name in seen_together(("rwe",))]
    run = ForwardPass(space, dataset, scores, three_keys=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    for begin in range(0, len(missing), _SLICE):
        part = missing[begin : begin + _SLICE]
        values = run(jax.random.key(seed), part).values
        rows = np.stack([values[name] for name in SCORES], 1).tolist()
        found |= dict(zip(map(space.to_string, part), rows, strict=True))
        with replacing(file) as stream:
            csv.writer(stream, lineterminator="\n").writerows([text, *row] for text, row in found.items())
        print(f"{file.name}: {begin + len(part)} of {len(missing)}", flush=True)
    return found


def _read(file: Path) -> dict[str, list[float]]:
    """What a file has."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        return {row[0]: list(map(float, row[1:])) for row in csv.reader(stream)}
