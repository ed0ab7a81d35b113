"""What a search is told: one flat, frozen dataclass, read from YAML or the command line."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Self

from rwejax import plugins
from rwejax.bounds import Bounds, Count, Seed, Size, check_bounds
from rwejax.config import PRECISIONS, RunConfig, check_figure_format
from rwejax.errors import InputError
from rwejax.objectives import (
    COMPLEXITY,
    COSTS,
    FORWARD_SCORES,
    RACE_ERROR,
    RWE_SCORES,
    Objective,
    score,
    seen_together,
)

ALGORITHMS = ("nsga2", "random")
RECORDS = ("asked", "all")

LEAST_LABELS = 4
"""Trained networks that a search can be calibrated by."""

TRAINING_MINUTES = 2.0
"""By default; with it the first command that a newcomer types takes less than three minutes on two cores."""


@dataclasses.dataclass(frozen=True)
class SearchConfig(RunConfig):
    """What is searched, on which images, by which algorithm. Evaluations: population size x generations.

    Attributes:
        space: macro (three phases of wired 3x3 convolutions), micro (NASNet-like cells), darts, nasbench201 or
            nasbench_macro; or FILE.py:CLASS, a space of your own, see docs/how-to/own-space.md.
        nodes: macro: nodes of a phase, 2 to 6; None: 4.
        layers: micro, darts: cells of the network; None: 5.
        cells: nasbench201: cells of a stage; None: 1.
        channels: channels of the first maps; None: macro, nasbench201 and nasbench_macro 16, micro and darts 8, and
            macro on the digits 8.
        dataset: digits (embedded), folder:PATH (one folder of images a class, perhaps below train, val and test),
            csv:FILE (columns path and label), hf:PATH (saved by Hugging Face's datasets), any image classification set
            of TensorFlow Datasets, such as cifar10, or FILE.py:NAME, a source of your own.
        data_dir: folder of the prepared TensorFlow Datasets; None: TFDS_DATA_DIR, or else TFDS's own default.
        image_size: height and width to resize to, in pixels; None: as they are (digits 16).
        train_images: images that heads are fitted on; None: 500, or of a small set four fifths.
        validation_images: further images; leave-one-out scores use both parts. None: 250, or of a small set a fifth.
        population_size: genomes of a generation, 2 or more.
        generations: generations, the first population counted as one.
        seeds: initialisations that every score is averaged over.
        seed: draws the images, the weights and the genomes.
        estimator: rwe, the papers' random-weight evaluation, or another estimator of networks, or two with a comma
            between, as objectives beside macs; None: what chooses best in the space, rwf in darts and fit_path
            elsewhere, or rwe where another score or a race of it is asked for. FILE.py:NAME is an estimator of your
            own, see docs/how-to/own-estimator.md.
        score: which score of rwe ranks: loo_error, validation_error, loo_squared_error or log_evidence.
        algorithm: nsga2, or random for the baseline.
        run_dir: folder for the results, missing or empty; None: runs/SPACE-DATASET-TIME.
        genomes_per_program: genomes evaluated together, which bounds memory; None: as many as fit, at most 64.
        images_per_batch: images that a device takes at once, which bounds memory; None: as fits the device's cache.
        calibration_images: train images that give the normalisation statistics, and all that fit_path, rwf and nwot
            look at.
        precision: of the networks that rwe, fit_path, rwf and nwot look at: float32; tensorfloat32, rounded factors; or
            bfloat16, rounded feature maps as well; auto: float32 on a CPU, tensorfloat32 on a GPU, bfloat16 on a TPU.
        record: scores of the networks' one pass that are recorded: asked, those of the estimator; or all that it gives
            at little further cost, a tenth to a sixth of an evaluation by fit_path.
        race_images: rwe alone, on one host: so many of the images are seen by all genomes, and the others only by those
            that can still reach the front; the objective of those that drop out is predicted. None: all see all.
        costs: what else is minimised: macs, params, memory (peak bytes of activations for one image) or latency
            (milliseconds on this device), or two with a comma between; three objectives at most, estimators included.
        latency_batch: images at once whose latency is measured.
        training_minutes: about how long the networks of the front are trained at the end, beside random networks of
            their sizes and a plain CNN; 0: not at all.
        training_epochs: epochs of each of them; None: as many as fit in the minutes, 100 at most.
        calibrate: networks that are trained in the first generations, within the same minutes, to predict the error of
            all others from their scores; the search goes on by what is predicted. 0: by the scores themselves.
        figure_format: png, or svg, of vectors.

    Examples:
        >>> SearchConfig(population_size=1).validate()
        Traceback (most recent call last):
        rwejax.errors.InputError: population_size is 1: give 2 or more, for parents come in pairs
    """

    space: str = "macro"
    nodes: Size | None = None
    layers: Size | None = None
    cells: Size | None = None
    channels: Size | None = None
    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: Size | None = None
    train_images: Count | None = None
    validation_images: Count | None = None
    population_size: Annotated[int, Bounds(2, 10**6, "2 or more, for parents come in pairs")] = 64
    generations: Annotated[int, Bounds(1, 10**6)] = 20
    seeds: Annotated[int, Bounds(1, 10**4)] = 1
    seed: Seed = 0
    estimator: str | None = None
    score: str = "loo_error"
    algorithm: str = "nsga2"
    run_dir: Path | None = None
    genomes_per_program: Count | None = None
    images_per_batch: Count | None = None
    calibration_images: Count = 400
    precision: str = "auto"
    record: str = "asked"
    race_images: Count | None = None
    costs: str = "macs"
    latency_batch: Size = 1
    training_minutes: Annotated[float, Bounds(0, 10**6)] = TRAINING_MINUTES
    training_epochs: Annotated[int, Bounds(1, 10**6)] | None = None
    calibrate: Annotated[int, Bounds(0, 10**4)] = 0
    figure_format: str = "png"

    @property
    def most_images(self) -> tuple[int, int]:
        """Images to train and to validate on, where no number is given and there are as many."""
        return 500, 250

    @property
    def estimators(self) -> tuple[str, ...]:
        """Names of the estimators, one objective each."""
        return tuple(plugins.name_of(each) for each in self._chosen.split(","))

    @property
    def _chosen(self) -> str:
        asks_for_rwe = self.race_images or self.score != "loo_error"
        return self.estimator or ("rwe" if asks_for_rwe else _default_estimator(self.space))

    @property
    def cost_names(self) -> tuple[str, ...]:
        """Names of the costs, one objective each."""
        return tuple(name.strip() for name in self.costs.split(","))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is minimised: a score of each estimator, then the costs."""
        scores = [score(self.score if name == "rwe" else name) for name in self.estimators]
        return *scores, *(COSTS[name] for name in self.cost_names)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of all that is recorded of a genome beside its macs and params."""
        estimators = (*self.estimators, *self.extras)
        names = [each for name in estimators for each in FORWARD_SCORES.get(name, (name,))]
        names += [RACE_ERROR.name] if self.race_images else []
        return tuple(name for name in dict.fromkeys((*names, *self.cost_names)) if name not in COMPLEXITY)

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the estimators that are scored besides: all forward ones to predict by, else as `record` says."""
        if self.calibrate:
            return tuple(name for name in seen_together((*self.estimators, "rwe")) if name not in self.estimators)
        return seen_together(self.estimators) if self.records_all else ()

    @property
    def records_all(self) -> bool:
        """Whether all is recorded that a pass gives; a race makes two of different images, and gives its own scores."""
        return self.record == "all" and not self.race_images

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        from rwejax.spaces import sizes_of  # which starts JAX

        return sizes_of(self)

    def resolved(self) -> Self:
        """The same with absolute paths, sizes and estimator named: what means the same anywhere, ever after."""
        estimators = [plugins.resolve(each, "--estimator") for each in self._chosen.split(",")]
        named: dict[str, Any] = {"estimator": ",".join(estimators), **self.sizes}
        return dataclasses.replace(super().resolved(), **named)

    @property
    def trains(self) -> bool:
        """Whether the networks of the front are trained at the end."""
        return self.training_minutes > 0 or self.training_epochs is not None

    @property
    def evaluations(self) -> int:
        """Genomes that the whole search evaluates."""
        return self.population_size * self.generations

    def validate(self) -> None:
        """Refuse what cannot be searched with. What only a space or a dataset can judge, these refuse themselves.

        Raises:
            InputError: a field is out of its range.
        """
        check_bounds(self)
        check_figure_format(self.figure_format)
        if len(self.estimators) > 2:
            raise InputError(f"estimator {self.estimator!r} names {len(self.estimators)}: give one or two")
        self._check_costs()
        self._check_calibration()
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
        known_names = {"score": tuple(RWE_SCORES), "algorithm": ALGORITHMS, "precision": PRECISIONS, "record": RECORDS}
        for name, known in known_names.items():
            if (value := getattr(self, name)) not in known:
                raise InputError(f"{name} {value!r} is unknown: choose one of {', '.join(known)}")

    def _check_calibration(self) -> None:
        if not self.calibrate:
            return
        if self.calibrate < LEAST_LABELS:
            raise InputError(f"calibrate is {self.calibrate}: give {LEAST_LABELS} or more, for fewer say nothing, or 0")
        said = f"calibrate is {self.calibrate} with"
        if not self.trains:
            raise InputError(f"{said} training_minutes 0: it trains networks, so give it some, or leave it out")
        if self.race_images or self.algorithm != "nsga2":
            other = f"race_images {self.race_images}" if self.race_images else f"algorithm {self.algorithm!r}"
            raise InputError(f"{said} {other}: a search cannot have both, so leave one out")
        if len(self.estimators) > 1:
            raise InputError(
                f"{said} estimator {','.join(self.estimators)!r}: one error is predicted, so give one of them"
            )

    def _check_costs(self) -> None:
        for name in self.cost_names:
            if name not in COSTS:
                raise InputError(
                    f"costs {self.costs!r} names {name!r}, which is unknown: choose from {', '.join(COSTS)}"
                )
        if len(set(self.cost_names)) < len(self.cost_names):
            raise InputError(f"costs {self.costs!r} names one twice: give each once")
        if len(self.objectives) > 3:
            raise InputError(
                f"estimator {','.join(self.estimators)!r} and costs {self.costs!r} make {len(self.objectives)} "
                "objectives: give three at most"
            )
        if self.race_images and self.cost_names != ("macs",):
            raise InputError(f"race_images is {self.race_images} with costs {self.costs!r}: only macs can race")
        if self.latency_batch > 1 and "latency" not in self.cost_names:
            raise InputError(f"latency_batch is {self.latency_batch} without latency in --costs: leave it out")


def _default_estimator(space: str) -> str:
    from rwejax.spaces import get_class  # which starts JAX

    return str(get_class(space).default_estimator)
