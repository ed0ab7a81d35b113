"""Rank-correlate estimators with the accuracies of trained networks."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax import data, spaces
from rwejax.correlating import statistics, tables
from rwejax.correlating.config import SMALLEST_SAMPLE, CorrelateConfig
from rwejax.correlating.output import claim_table, free_table, record, scores_path
from rwejax.correlating.result import CorrelateObserver, CorrelateResult, Measured
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.runtime.observer import closing
from rwejax.runtime.signals import uninterrupted
from rwejax.storage.output import writing

_SLICE = 40  # networks between two signs of life
_HEADS = ("rwe", "rwe_softmax")  # fit a head on train images, and validate it
_HEAD_IMAGES = 750
_BATCH_IMAGES = 500  # the largest default of an estimator that looks at one batch
_Estimate = Callable[[jax.Array, Int[np.ndarray, "n genes"]], dict[str, Float[np.ndarray, " n"]]]
_UNSEEN_IMAGES = 250  # validation images of a dataset whose train images alone are looked at; there must be some


def correlate(config: CorrelateConfig, observers: Sequence[CorrelateObserver] = ()) -> CorrelateResult:
    r"""Measure how well estimators rank networks whose accuracy is known.

    Every estimator that is finished is on disk at once: its row in the table, its scores beside it, and its figure. On
    an interruption they stay, and `KeyboardInterrupt` goes on to the caller; an estimator that was not finished is
    lost. Nothing that exists is overwritten.

    Args:
        config: which estimators, which accuracies.
        observers: are told of the progress, and closed at the end.

    Returns:
        Scores and correlations. They are a function of the config and of the files that it names, up to the times.

    Raises:
        InputError: something in the config cannot be used.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
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
    estimators.register_references(config.estimator)
    for name in config.estimators:
        if name not in estimators.names():
            raise InputError(f"estimator {name!r} is unknown: choose from {', '.join(estimators.names())}")
    if config.output is not None:
        free_table(config)
    table = tables.read(
        config.truth, config.column, spaces.get(config.space, **config.sizes), config.sample, config.seed
    )
    if len(table.values) < SMALLEST_SAMPLE:
        raise InputError(
            f"truth {str(config.truth)!r} has {len(table.values)} networks of space {config.space_name!r}: "
            f"{SMALLEST_SAMPLE} or more are needed, which have an order"
        )
    images = _Images(config)
    found = {name: images.of(name) for name in config.estimators}
    any_images = found[config.estimators[0]]
    shape, classes = any_images.image_shape, any_images.classes
    space = spaces.get(config.space, input_shape=shape, classes=classes, **config.sizes)
    # All are made before the first is run, so that a wrong number of images is answered at once.
    made = [(names, _make(names, config, space, found[names[0]])) for names in _passes(found)]
    genomes = np.asarray(space.canonical(table.genomes))
    result = CorrelateResult(
        config=config,
        space=space,
        texts=table.texts,
        values=table.values,
        macs=space.macs(genomes),
        available=table.available,
        skipped=table.skipped,
        measured=(),
        output=claim_table(config),
    )
    with closing(observers):
        try:
            for observer in observers:
                observer.on_start(result)
            for names, estimate in made:
                for measured in _measure(names, estimate, genomes, result, observers):
                    result = dataclasses.replace(result, measured=(*result.measured, measured))
                    with uninterrupted(), writing(result.output):
                        record(result)
                    for observer in observers:
                        observer.on_estimator(result)
        finally:
            if not result.measured:
                scores_path(result.output).unlink(missing_ok=True)  # it only kept the place
        for observer in observers:
            observer.on_end(result)
    return result


class _Images:
    """The datasets of the sizes that estimators ask for; of equal size, the same one."""

    def __init__(self, config: CorrelateConfig) -> None:
        self._config = config
        self._load = functools.cache(self._load_anew)

    def of(self, estimator: str) -> Dataset:
        asked = self._config.images
        images = asked or (_HEAD_IMAGES if estimator in _HEADS else _BATCH_IMAGES)
        train = 2 * images // 3 if estimator in _HEADS else images
        validation = images - train if estimator in _HEADS else min(images, _UNSEEN_IMAGES)
        return self._load(train, validation, asked is not None)

    def _load_anew(self, train: int, validation: int, exactly: bool) -> Dataset:
        config = self._config
        return data.load(
            config.dataset,
            train=train if exactly else None,
            validation=validation if exactly else None,
            data_dir=config.data_dir,
            image_size=config.image_size,
            seed=config.seed,
            most=(train, validation),
        )


def _passes(found: Mapping[str, Dataset]) -> list[tuple[str, ...]]:
    """The estimators, those together that one pass forwards over the same images is enough for."""
    passes: dict[Any, tuple[str, ...]] = {}
    for name, dataset in found.items():
        key = id(dataset) if name in estimators.FORWARD else name
        passes[key] = (*passes.get(key, ()), name)
    return list(passes.values())


def _make(names: Sequence[str], config: CorrelateConfig, space: spaces.Space, dataset: Dataset) -> _Estimate:
    given = {"seeds": config.seeds} if config.images is None else {"seeds": config.seeds, "images": config.images}
    known = set.intersection(*(set(estimators.options_of(name)) for name in names))
    options = {option: value for option, value in given.items() if option in known}
    if len(names) > 1:
        return estimators.together(names, space, dataset, **options)
    (name,) = names
    estimate = estimators.get(name, space, dataset, **options)
    return lambda key, genomes: {name: estimate(key, genomes)}


def _measure(
    names: Sequence[str],
    estimate: _Estimate,
    genomes: Int[np.ndarray, "n genes"],
    result: CorrelateResult,
    observers: Sequence[CorrelateObserver],
) -> list[Measured]:
    """Score the networks slice by slice, two at least: the first one compiles, and only the others are timed."""
    key = jax.random.key(result.config.seed)
    slices = np.array_split(genomes, max(2, -(-len(genomes) // _SLICE)))
    parts: list[dict[str, Float[np.ndarray, " m"]]] = []
    times = []
    _tell(observers, names, 0)
    for part in slices:
        start = time.perf_counter()
        parts.append({name: np.asarray(scores, float) for name, scores in estimate(key, part).items()})
        times.append(time.perf_counter() - start)
        _tell(observers, names, sum(map(len, slices[: len(parts)])))
    seconds = sum(times[1:]) / (len(genomes) - len(slices[0]))
    measured = []
    for name in names:
        scores = np.concatenate([part[name] for part in parts])
        scores = np.where(np.isnan(scores), -np.inf, scores)
        measured.append(
            Measured(
                estimator=name,
                scores=scores,
                correlation=statistics.measure(scores, result.values, result.macs, result.config.seed),
                dead=int((scores == -np.inf).sum()),
                seconds=seconds,
                compile_seconds=max(0.0, times[0] - seconds * len(slices[0])),
                together=len(names),
            )
        )
    return measured


def _tell(observers: Sequence[CorrelateObserver], names: Sequence[str], networks: int) -> None:
    for observer in observers:
        for name in names:
            observer.on_slice(name, networks)
