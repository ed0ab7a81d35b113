"""What a search and a correlation are told: flat, frozen dataclasses, read from YAML or the command line.

Nothing heavy is imported here, so that `--help` and a mistyped key are answered at once.
"""

import dataclasses
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

from rwejax.errors import InputError

SCORES = {
    "loo_error": "leave-one-out error (%)",
    "validation_error": "validation error (%)",
    "loo_squared_error": "leave-one-out squared error",
    "log_evidence": "log evidence (nats an image and class)",
}
"""The scores of random-weight evaluation that can rank, and how they are written."""

ALGORITHMS = ("nsga2", "random")

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")

COMPLEXITY = ("macs", "params")
"""The estimators that look at no image and draw no weights; every record has their numbers anyway."""

SIZES = {
    "macro": {"nodes": 4, "channels": 16},
    "micro": {"layers": 5, "channels": 8},
    "darts": {"layers": 5, "channels": 8},
    "nasbench201": {"cells": 1, "channels": 16},
    "nasbench_macro": {"channels": 16},
}
"""The sizes of a space's networks where no other is named: small, since a proxy only has to rank."""

DIGITS_SIZES = {"macro": {"channels": 8}}
"""What is smaller on the digits, which wider networks tell apart so well that the smallest of them win."""

ESTIMATORS = {
    "macro": "fit_path",
    "micro": "fit_path",
    "darts": "rwf",
    "nasbench201": "fit_path",
    "nasbench_macro": "fit_path",
}
"""The estimator whose choice in a space is the best network once it is trained, see docs/estimator.md."""

SMALLEST_SAMPLE = 3
"""Networks below which no correlation is worth its name."""

LARGEST_SEED = 2**31 - 1


def label(score: str) -> str:
    """How a recorded score is written on a screen or an axis."""
    return SCORES.get(score, score)


class RunConfig(ABC):
    """What the configs of run folders have in common: dataclasses that have these fields, and others."""

    dataset: str
    data_dir: Path | None
    run_dir: Path | None

    @abstractmethod
    def validate(self) -> None:
        """Refuse what cannot be done."""

    def anchored(self) -> Self:
        """The same with absolute paths, so that it can be resumed from any working directory."""
        data_dir = None if self.data_dir is None else Path(self.data_dir).expanduser().absolute()
        dataset = self.dataset
        if dataset.startswith("folder:") and dataset != "folder:":
            dataset = f"folder:{Path(dataset.removeprefix('folder:')).expanduser().absolute()}"
        return dataclasses.replace(self, data_dir=data_dir, dataset=dataset)  # type: ignore[type-var]

    def differences(self, other: Self) -> list[str]:
        """Names of the fields in which two configs differ, wherever their results may lie."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "run_dir"]  # type: ignore[arg-type]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


@dataclasses.dataclass(frozen=True)
class SearchConfig(RunConfig):
    """What is searched, on which images, by which algorithm. Evaluations: population size x generations.

    Attributes:
        space: macro (three phases of wired 3x3 convolutions), micro (NASNet-like cells), darts, nasbench201 or
            nasbench_macro.
        nodes: macro: nodes of a phase, 2 to 6; None: 4.
        layers: micro, darts: cells of the network; None: 5.
        cells: nasbench201: cells of a stage; None: 1.
        channels: channels of the first maps; None: macro, nasbench201 and nasbench_macro 16, micro and darts 8, and
            macro on the digits 8.
        dataset: digits (embedded), folder:PATH (one folder of images a class), or any image classification set of
            TensorFlow Datasets, such as cifar10.
        data_dir: folder of the prepared TensorFlow Datasets; None: TFDS_DATA_DIR, or else TFDS's own default.
        image_size: height and width to resize to, in pixels; None: as they are (digits 16).
        train_images: images that heads are fitted on.
        validation_images: further images; leave-one-out scores use both parts.
        population_size: genomes of a generation, 2 or more.
        generations: generations, the first population counted as one.
        seeds: weight draws that every score is averaged over.
        seed: draws the images, the weights and the genomes.
        estimator: rwe, the papers' random-weight evaluation, or another estimator of networks, or two with a comma
            between, as objectives beside macs; None: what chooses best in the space, rwf in darts and fit_path
            elsewhere, or rwe where another score or a race of it is asked for.
        score: which score of rwe ranks: loo_error, validation_error, loo_squared_error or log_evidence.
        algorithm: nsga2, or random for the baseline.
        run_dir: folder for the results, missing or empty; None: runs/SPACE-DATASET-TIME.
        genomes_per_program: genomes evaluated together, which bounds memory; None: as many as fit, at most 64.
        images_per_batch: images that a device takes at once, which bounds memory; None: as fits the device's cache.
        calibration_images: train images that give the normalisation statistics.
        precision: of rwe's networks: float32; or for accelerators tensorfloat32, rounded factors, or bfloat16, rounded
            feature maps as well.
        race_images: rwe alone, on one host: so many of the images are seen by all genomes, and the others only by those
            that may still enter the front; the objective of those that drop out is foretold. None: all see all.

    Example:
        >>> SearchConfig(population_size=1).validate()
        Traceback (most recent call last):
        rwejax.errors.InputError: population_size is 1: give 2 or more, for parents come in pairs
    """

    space: str = "macro"
    nodes: int | None = None
    layers: int | None = None
    cells: int | None = None
    channels: int | None = None
    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: int | None = None
    train_images: int = 500
    validation_images: int = 250
    population_size: int = 64
    generations: int = 20
    seeds: int = 1
    seed: int = 0
    estimator: str | None = None
    score: str = "loo_error"
    algorithm: str = "nsga2"
    run_dir: Path | None = None
    genomes_per_program: int | None = None
    images_per_batch: int | None = None
    calibration_images: int = 256
    precision: str = "float32"
    race_images: int | None = None

    @property
    def estimators(self) -> tuple[str, ...]:
        """Names of the estimators, one objective each."""
        asks_for_rwe = self.race_images or self.score != "loo_error"
        chosen = self.estimator or ("rwe" if asks_for_rwe else ESTIMATORS.get(self.space, "fit_path"))
        return tuple(name.strip() for name in chosen.split(","))

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the recorded scores that are objectives; all but errors are better when they are higher."""
        return tuple(self.score if name == "rwe" else name for name in self.estimators)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of all recorded scores."""
        names = [score for name in self.estimators for score in (SCORES if name == "rwe" else (name,))]
        names += ["race_error"] if self.race_images else []
        return tuple(name for name in names if name not in COMPLEXITY)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        return sizes_of(self)

    def anchored(self) -> Self:
        """The same with absolute paths, sizes and estimator named: what means the same anywhere, ever after."""
        named: dict[str, Any] = {"estimator": ",".join(self.estimators), **self.sizes}
        return dataclasses.replace(super().anchored(), **named)

    @property
    def evaluations(self) -> int:
        """Genomes that the whole search evaluates."""
        return self.population_size * self.generations

    def validate(self) -> None:
        """Refuse what cannot be searched with. What only a space or a dataset can judge, these refuse themselves.

        Raises:
            InputError: a field is out of its range.
        """
        if self.population_size < 2:
            raise InputError(f"population_size is {self.population_size}: give 2 or more, for parents come in pairs")
        _check_integers(self)
        if len(self.estimators) > 2:
            raise InputError(f"estimator {self.estimator!r} names {len(self.estimators)}: give one or two")
        if self.race_images and self.estimators != ("rwe",):
            raise InputError(
                f"race_images is {self.race_images} with estimator {','.join(self.estimators)!r}: only rwe alone can "
                "race; give --estimator rwe or leave race_images out"
            )
        if self.score != "loo_error" and "rwe" not in self.estimators:
            raise InputError(
                f"score is {self.score!r} with estimator {','.join(self.estimators)!r}: only rwe has scores; "
                "give --estimator rwe or leave score out"
            )
        for name, known in (("score", tuple(SCORES)), ("algorithm", ALGORITHMS), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in known:
                raise InputError(f"{name} {value!r} is unknown: choose one of {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class CorrelateConfig:
    """Which estimators are held against which accuracies, and what they look at.

    Attributes:
        space: search space, such as nasbench201, nasbench_macro, darts, macro or micro.
        truth: CSV file with a column `architecture` or `genome`; or NATS-Bench's file or folder for nasbench201; or a
            folder of NAS-Bench-301's results_*.json for darts.
        column: what counts as true, higher being better, such as cifar10_accuracy.
        estimators: names with commas between them.
        sample: networks, drawn from the table; all where it has fewer.
        seeds: weight draws that every score is averaged over.
        seed: draws the networks, the images and the weights.
        dataset: digits (embedded), folder:PATH (one folder of images a class), or any image classification set of
            TensorFlow Datasets, such as cifar10. It need not be the one that the truth comes from.
        data_dir: folder of the prepared TensorFlow Datasets; None: TFDS_DATA_DIR, or else TFDS's own default.
        image_size: height and width to resize to, in pixels; None: as they are (digits 16).
        images: images that an estimator looks at; those that fit a head on features, rwe and rwe_softmax, train on two
            thirds and validate on one, the others take one batch of train images. None: 750 for a head, and each of
            the others' own default, at most 500.
        nodes: macro: nodes of a phase, 2 to 6; None: 4, as in a search.
        layers: micro, darts: cells of the network; None: 5.
        cells: nasbench201: cells of a stage; None: 1.
        channels: channels of the first maps; None: macro, nasbench201 and nasbench_macro 16, micro and darts 8.
        output: CSV file for the table, missing; the scores go beside it, to NAME.scores.csv, and the figures to
            NAME-ESTIMATOR.png. None: runs/correlate-SPACE-COLUMN.csv, with a number where that exists.
    """

    space: str
    truth: Path
    column: str
    estimators: str = "rwe,nwot,macs"
    sample: int = 100
    seeds: int = 1
    seed: int = 0
    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: int | None = None
    images: int | None = None
    nodes: int | None = None
    layers: int | None = None
    cells: int | None = None
    channels: int | None = None
    output: Path | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        return sizes_of(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The estimators, each once."""
        return tuple(dict.fromkeys(name.strip() for name in self.estimators.split(",") if name.strip()))

    def validate(self) -> None:
        """Refuse what cannot be measured. What only a space or a dataset can judge, these refuse themselves.

        Raises:
            InputError: a field is out of its range.
        """
        _check_integers(self)
        if self.sample < SMALLEST_SAMPLE:
            raise InputError(f"sample is {self.sample}: give {SMALLEST_SAMPLE} networks or more, which have an order")
        if not self.names:
            raise InputError(f"estimators is {self.estimators!r}: give names with commas between them")


@dataclasses.dataclass(frozen=True)
class CorrelateRunsConfig:
    """Which searches are held against which accuracies, generation by generation.

    Attributes:
        run: run folders of searches of one space, with commas between them.
        truth: CSV file with a column `architecture` or `genome`; or NATS-Bench's file or folder for nasbench201; or a
            folder of NAS-Bench-301's results_*.json for darts.
        column: what counts as true, higher being better, such as cifar10_accuracy.
        output: CSV file for the table, missing; the figure goes beside it, to NAME.png. None:
            runs/correlate-runs-SPACE-COLUMN.csv, with a number where that exists.
    """

    run: str
    truth: Path
    column: str
    output: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The run folders, each once."""
        return tuple(dict.fromkeys(Path(name.strip()) for name in self.run.split(",") if name.strip()))

    def validate(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            InputError: no run folder is named.
        """
        if not self.folders:
            raise InputError(f"run is {self.run!r}: give run folders with commas between them")


def sizes_of(config: Any) -> dict[str, int]:
    """The sizes that a config gives its space, the others as `SIZES` and `DIGITS_SIZES` have them."""
    names = ("nodes", "layers", "cells", "channels")
    given = {name: value for name in names if (value := getattr(config, name)) is not None}
    digits = DIGITS_SIZES if config.dataset == "digits" else {}
    return SIZES.get(config.space, {}) | digits.get(config.space, {}) | given


def _check_integers(config: SearchConfig | CorrelateConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and field.name != "seed" and value < 1:
            raise InputError(f"{field.name} is {value}: give 1 or more")
    if not 0 <= config.seed <= LARGEST_SEED:
        raise InputError(f"seed is {config.seed}: give a seed from 0 to {LARGEST_SEED}")


def parse_macs(text: str) -> float:
    """Multiply-adds of a text such as 300M.

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", text)
    if found is None:
        raise InputError(f"macs {text!r} are no number of multiply-adds: give one such as 300M")
    return float(found[1]) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[found[2]]
