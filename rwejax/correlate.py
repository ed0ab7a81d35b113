"""Hold estimators against the accuracies of trained networks."""

import contextlib
import csv
import dataclasses
import functools
import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax import data, spaces, truth
from rwejax.config import COMPLEXITY, SMALLEST_SAMPLE, CorrelateConfig
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate import correlation, estimators
from rwejax.evaluate.correlation import Correlation
from rwejax.runtime.signals import uninterrupted
from rwejax.storage.atomic import replacing

_SLICE = 40  # networks between two signs of life
_HEADS = ("rwe", "rwe_softmax")  # fit a head on train images, and validate it
_HEAD_IMAGES = 750
_BATCH_IMAGES = 500  # the largest default of an estimator that looks at one batch
_UNSEEN_IMAGES = 250  # validation images of a dataset whose train images alone are looked at; there must be some


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """An estimator and how well it ranks.

    Attributes:
        estimator: its name.
        scores: of the networks of the result; minus infinity where a network is dead.
        correlation: with the truth.
        dead: networks that score minus infinity, and so rank last.
        seconds: an architecture, without compilation: the mean over all slices of the sample but the first.
        compile_seconds: that the first slice took longer than that, most of it compilation.
    """

    estimator: str
    scores: Float[np.ndarray, " n"]
    correlation: Correlation
    dead: int
    seconds: float
    compile_seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class CorrelateResult:
    """What was measured. Row i of every array, and of the file of scores, is one network.

    Attributes:
        config: what was asked for.
        space: the networks that were scored.
        texts: their architectures as the table writes them.
        values: (n,) what they are truly worth.
        macs: (n,) multiply-adds for one image of the dataset.
        available: networks that the table has for the space.
        measured: the estimators that are finished, in the order of the config.
        output: the table on disk.
    """

    config: CorrelateConfig
    space: spaces.Space
    texts: tuple[str, ...]
    values: Float[np.ndarray, " n"]
    macs: Int[np.ndarray, " n"]
    available: int
    measured: tuple[Measured, ...]
    output: Path

    def __repr__(self) -> str:
        names = ", ".join(measured.estimator for measured in self.measured)
        return f"CorrelateResult({names} on {len(self.values)} networks, output={str(self.output)!r})"


class Observer:
    """Is told how a correlation goes; does nothing by itself, so override what is of interest."""

    def on_start(self, result: CorrelateResult) -> None:
        """The networks are drawn and the files are claimed; nothing is measured yet."""

    def on_slice(self, estimator: str, networks: int) -> None:
        """So many networks of the estimator are finished, 0 before it compiles."""

    def on_estimator(self, result: CorrelateResult) -> None:
        """The last of `result.measured` is finished and on disk."""


def correlate(config: CorrelateConfig, observer: Observer | None = None) -> CorrelateResult:
    r"""Measure how well estimators rank networks whose accuracy is known.

    Every estimator that is finished is on disk at once: its row in the table, its scores beside it, and its figure. On
    an interruption they stay, and `KeyboardInterrupt` goes on to the caller; an estimator that was not finished is
    lost. Nothing that exists is overwritten.

    Args:
        config: which estimators, which accuracies.
        observer: is told of the progress.

    Returns:
        Scores and correlations. They are a function of the config and of the files that it names, up to the times.

    Raises:
        InputError: something in the config cannot be used.

    Example:
        >>> import tempfile
        >>> from rwejax import CorrelateConfig, correlate
        >>> folder = Path(tempfile.mkdtemp())
        >>> rows = [("00000000", 80), ("11111111", 90), ("22222222", 93), ("12121212", 92)]
        >>> table = "".join(f"{text},{accuracy}\n" for text, accuracy in rows)
        >>> _ = (folder / "truth.csv").write_text("architecture,accuracy\n" + table)
        >>> config = CorrelateConfig("nasbench_macro", folder / "truth.csv", "accuracy", "macs")
        >>> correlate(dataclasses.replace(config, output=folder / "table.csv")).measured[0].correlation.spearman
        1.0
    """
    config.validate()
    observer = observer or Observer()
    for name in config.names:
        if name not in estimators.names():
            raise InputError(f"estimator {name!r} is unknown: choose from {', '.join(estimators.names())}")
    if config.output is not None:
        _free_output(config)
    table = truth.read(
        config.truth, config.column, spaces.get(config.space, **config.sizes), config.sample, config.seed
    )
    if len(table.values) < SMALLEST_SAMPLE:
        raise InputError(
            f"truth {str(config.truth)!r} has {len(table.values)} networks of space {config.space!r}: "
            f"{SMALLEST_SAMPLE} or more are needed, which have an order"
        )
    images = _Images(config)
    found = {name: images.of(name) for name in config.names}
    any_images = found[config.names[0]]
    shape, classes = any_images.image_shape, any_images.classes
    space = spaces.get(config.space, input_shape=shape, classes=classes, **config.sizes)
    # All are made before the first is run, so that a wrong number of images is answered at once.
    made = {name: _make(name, config, space, dataset) for name, dataset in found.items()}
    genomes = np.asarray(space.canonical(table.genomes))
    result = CorrelateResult(
        config=config,
        space=space,
        texts=table.texts,
        values=table.values,
        macs=space.macs(genomes),
        available=table.available,
        measured=(),
        output=_keep_place(config),
    )
    observer.on_start(result)
    try:
        for name, estimate in made.items():
            measured = _measure(name, estimate, genomes, result, observer)
            result = dataclasses.replace(result, measured=(*result.measured, measured))
            with uninterrupted(), writing(result.output):
                _record(result)
            observer.on_estimator(result)
    finally:
        if not result.measured:
            scores_path(result.output).unlink(missing_ok=True)  # it only kept the place
    return result


class _Images:
    """The datasets of the sizes that estimators ask for; of equal size, the same one."""

    def __init__(self, config: CorrelateConfig) -> None:
        self._config = config
        self._load = functools.cache(self._load_anew)

    def of(self, estimator: str) -> Dataset:
        if estimator in _HEADS:
            images = self._config.images or _HEAD_IMAGES
            train = 2 * images // 3
            return self._load(train, images - train)
        images = self._config.images or _BATCH_IMAGES
        return self._load(images, min(images, _UNSEEN_IMAGES))

    def _load_anew(self, train: int, validation: int) -> Dataset:
        config = self._config
        return data.load(
            config.dataset,
            train=train,
            validation=validation,
            data_dir=config.data_dir,
            image_size=config.image_size,
            seed=config.seed,
        )


def _make(name: str, config: CorrelateConfig, space: spaces.Space, dataset: Dataset) -> estimators.Estimate:
    options: dict[str, int] = {}
    if name not in COMPLEXITY:
        options["seeds"] = config.seeds
        if name not in _HEADS and config.images is not None:
            options["images"] = config.images
    return estimators.get(name, space, dataset, **options)


def _measure(
    name: str,
    estimate: estimators.Estimate,
    genomes: Int[np.ndarray, "n genes"],
    result: CorrelateResult,
    observer: Observer,
) -> Measured:
    """Score the networks slice by slice, two at least: the first one compiles, and only the others are timed."""
    key = jax.random.key(result.config.seed)
    slices = np.array_split(genomes, max(2, -(-len(genomes) // _SLICE)))
    parts: list[Float[np.ndarray, " m"]] = []
    times = []
    observer.on_slice(name, 0)
    for part in slices:
        start = time.perf_counter()
        parts.append(np.asarray(estimate(key, part), float))
        times.append(time.perf_counter() - start)
        observer.on_slice(name, sum(map(len, parts)))
    scores = np.concatenate(parts)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    seconds = sum(times[1:]) / (len(genomes) - len(slices[0]))
    return Measured(
        estimator=name,
        scores=scores,
        correlation=correlation.measure(scores, result.values, result.macs, result.config.seed),
        dead=int((scores == -np.inf).sum()),
        seconds=seconds,
        compile_seconds=max(0.0, times[0] - seconds * len(slices[0])),
    )


def scores_path(output: Path) -> Path:
    """Where the scores lie that belong to a table."""
    return output.with_name(f"{output.stem}.scores.csv")


def plot_path(output: Path, estimator: str) -> Path:
    """Where the figure of an estimator lies that belongs to a table."""
    return output.with_name(f"{output.stem}-{estimator}.png")


def _free_output(config: CorrelateConfig) -> Path:
    def files(output: Path) -> list[Path]:
        return [output, scores_path(output), *(plot_path(output, name) for name in config.names)]

    return free_output(config.output, f"correlate-{config.space}-{config.column}", files)


def free_output(output: Path | None, name: str, files: Callable[[Path], list[Path]]) -> Path:
    """A table's path that replaces nothing.

    Args:
        output: the path, if the user gave one.
        name: otherwise the path is runs/NAME.csv, or runs/NAME-2.csv and so on.
        files: everything that is written with a table.

    Raises:
        InputError: a file exists that belongs to the path that the user gave.
    """
    if output is not None:
        if existing := [path for path in files(Path(output)) if path.exists()]:
            raise InputError(f"output {str(existing[0])!r} exists: delete it, or give another file with --output")
        return Path(output)
    plain = re.sub(r"\W+", "-", name)
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    candidates = (Path("runs") / f"{plain}{suffix}.csv" for suffix in suffixes)
    return next(path for path in candidates if not any(file.exists() for file in files(path)))


def _keep_place(config: CorrelateConfig) -> Path:
    """The table's path, with an empty file of scores, so that no other process takes it."""
    output = _free_output(config)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        scores_path(output).open("x").close()
    return output


@contextlib.contextmanager
def writing(output: Path) -> Iterator[None]:
    """Say in one sentence, an `InputError`, that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"output {str(output)!r} cannot be written ({error.strerror}): give another file with --output"
        ) from error


def _record(result: CorrelateResult) -> None:
    """Write everything that is measured so far; each file appears whole or not at all."""
    names = [measured.estimator for measured in result.measured]
    columns = [measured.scores.tolist() for measured in result.measured]
    with replacing(scores_path(result.output)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["architecture", result.config.column, *names])
        writer.writerows(zip(result.texts, result.values.tolist(), *columns, strict=True))
    rows = [_row(result, measured) for measured in result.measured]
    with replacing(result.output) as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    from rwejax import plots  # takes half a second to import

    plots.save_scores(result, result.measured[-1], plot_path(result.output, names[-1]))


def _row(result: CorrelateResult, measured: Measured) -> dict[str, Any]:
    """A line of the table; what is undefined stays empty."""
    config = result.config
    row = {
        "estimator": measured.estimator,
        **measured.correlation._asdict(),
        "seconds": measured.seconds,
        "compile_seconds": measured.compile_seconds,
        "dead": measured.dead,
        "n": len(result.values),
        "available": result.available,
        "space": config.space,
        "truth": config.truth,
        "column": config.column,
        "dataset": config.dataset,
        "image_size": result.space.input_shape[0],
        "images": config.images,
        "seeds": config.seeds,
        "seed": config.seed,
        **{name: config.sizes.get(name) for name in ("nodes", "layers", "cells", "channels")},
    }
    return {name: "" if value is None or value != value else value for name, value in row.items()}
