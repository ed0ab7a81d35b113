"""What a correlation is told: flat, frozen dataclasses, read from the command line."""

import dataclasses
from pathlib import Path
from typing import Annotated

from rwejax import plugins
from rwejax.bounds import Bounds, Count, Seed, Size, check_bounds
from rwejax.config import check_figure_format, normalise
from rwejax.errors import InputError

SMALLEST_SAMPLE = 3
"""Networks below which no correlation is worth its name."""


@dataclasses.dataclass(frozen=True)
class CorrelateConfig:
    """Which estimators are rank-correlated with which accuracies, and what they look at.

    Attributes:
        space: search space, such as nasbench201, nasbench_macro, darts, macro or micro, or FILE.py:CLASS.
        truth: CSV file with a column `architecture` or `genome`; or NATS-Bench's file or folder for nasbench201; or a
            folder of NAS-Bench-301's results_*.json for darts.
        column: what counts as true, higher being better, such as cifar10_accuracy.
        estimator: names, or FILE.py:NAME, with commas between them.
        sample: networks, drawn from the table; all where it has fewer.
        seeds: initialisations that every score is averaged over.
        seed: draws the networks, the images and the weights.
        dataset: digits (embedded), folder:PATH (one folder of images a class, perhaps below train, val and test),
            csv:FILE (columns path and label), hf:PATH (saved by Hugging Face's datasets), any image classification set
            of TensorFlow Datasets, such as cifar10, or FILE.py:NAME, a source of your own. It need not be the one that
            the truth comes from.
        data_dir: folder of the prepared TensorFlow Datasets; None: TFDS_DATA_DIR, or else TFDS's own default.
        image_size: height and width to resize to, in pixels; None: as they are (digits 16).
        images: images that an estimator looks at; those that fit a head on features, rwe and rwe_softmax, train on two
            thirds and validate on one, the others take one batch of train images. None: 750 for a head, and each of
            the others' own default, at most 500; or what a small set has.
        nodes: macro: nodes of a phase, 2 to 6; None: 4, as in a search.
        layers: micro, darts: cells of the network; None: 5.
        cells: nasbench201: cells of a stage; None: 1.
        channels: channels of the first maps; None: macro, nasbench201 and nasbench_macro 16, micro and darts 8.
        output: CSV file for the table, missing; the scores go beside it, to NAME.scores.csv, and the figures to
            NAME-ESTIMATOR.png. None: runs/correlate-SPACE-COLUMN.csv, with a number where that exists.
        figure_format: png, or svg, of vectors.
    """

    space: str
    truth: Path
    column: str
    estimator: str = "rwe,nwot,macs"
    sample: Annotated[
        int, Bounds(SMALLEST_SAMPLE, 10**9, f"{SMALLEST_SAMPLE} networks or more, which have an order")
    ] = 100
    seeds: Annotated[int, Bounds(1, 10**4)] = 1
    seed: Seed = 0
    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: Size | None = None
    images: Count | None = None
    nodes: Size | None = None
    layers: Size | None = None
    cells: Size | None = None
    channels: Size | None = None
    output: Path | None = None
    figure_format: str = "png"

    def __post_init__(self) -> None:
        normalise(self)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        from rwejax.spaces import sizes_of  # which starts JAX

        return sizes_of(self)

    @property
    def estimators(self) -> tuple[str, ...]:
        """The names of the estimators, each once."""
        return tuple(self.references)

    @property
    def references(self) -> dict[str, str]:
        """By name the estimators as they were given: names, or FILE.py:NAME."""
        return {plugins.name_of(each): each.strip() for each in self.estimator.split(",") if each.strip()}

    @property
    def space_name(self) -> str:
        """The space as files and screens show it: NAME of a FILE.py:NAME."""
        return plugins.name_of(self.space)

    def validate(self) -> None:
        """Refuse what cannot be measured. What only a space or a dataset can judge, these refuse themselves.

        Raises:
            InputError: a field is out of its range.
        """
        check_bounds(self)
        check_figure_format(self.figure_format)
        if not self.estimators:
            raise InputError(f"estimator is {self.estimator!r}: give names with commas between them")


@dataclasses.dataclass(frozen=True)
class CorrelateRunsConfig:
    """Which searches are rank-correlated with which accuracies, generation by generation.

    Attributes:
        run: run folders of searches of one space, with commas between them.
        truth: CSV file with a column `architecture` or `genome`; or NATS-Bench's file or folder for nasbench201; or a
            folder of NAS-Bench-301's results_*.json for darts.
        column: what counts as true, higher being better, such as cifar10_accuracy.
        output: CSV file for the table, missing; the figure goes beside it, to NAME.png. None:
            runs/correlate-runs-SPACE-COLUMN.csv, with a number where that exists.
        figure_format: png, or svg, of vectors.
    """

    run: str
    truth: Path
    column: str
    output: Path | None = None
    figure_format: str = "png"

    def __post_init__(self) -> None:
        normalise(self)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The run folders, each once."""
        return tuple(dict.fromkeys(Path(name.strip()) for name in self.run.split(",") if name.strip()))

    def validate(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            InputError: no run folder is named, or there is no such format of figures.
        """
        check_figure_format(self.figure_format)
        if not self.folders:
            raise InputError(f"run is {self.run!r}: give run folders with commas between them")
