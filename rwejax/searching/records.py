"""What a search leaves on disk, and how it is resumed.

    config.yaml         the search; written first and whole, so that a folder without it is no run
    meta.json           versions, device and seed
    evaluations.jsonl   one line a genome, appended and synced after each generation
    samples.png         some images of the first classes
    history.csv         one row a generation, appended and synced: hypervolume, best, and where the time went
    front.csv           the front so far, replaced after each generation, and once its networks are trained
    front.png           the front as a figure, or front.svg
    trainings.jsonl     how the networks of the front are trained, and a line each, appended and synced
    checkpoints/        the algorithm's state after each of the last two generations

The order of writing, lines before checkpoint, makes a kill at any moment harmless: what is on disk is a checkpoint and
at least the evaluations and rows that it presumes. Whatever lies beyond it is cut back and evaluated again.
"""

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
import numpy as np

from rwejax.objectives import RACE_ERROR, recorded
from rwejax.searching import history
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import FINALLY, Front, make_front
from rwejax.searching.observers import Progress
from rwejax.storage.atomic import replacing
from rwejax.storage.lines import finite, read_lines, to_json
from rwejax.storage.meta import read_meta
from rwejax.storage.run_dir import Folder
from rwejax.storage.schema import Natural, Number, Positive, Seconds, Text, convert, parse_json
from rwejax.storage.trainings import TrainedNetwork, read_trainings

if TYPE_CHECKING:
    from rwejax.searching.trained.forecast import Forecast


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One line of evaluations.jsonl. On disk, numbers that are not finite are null: JSON has no others.

    Attributes:
        index: place among all evaluations of the run, from 0.
        generation: generation, from 1.
        architecture: text form of the canonical genome.
        objectives: what was minimised, as `SearchConfig.objectives` says.
        scores: all that was measured, by name, costs other than macs and params included; on disk each is a key.
        macs: multiply-adds for one image.
        params: parameters.
        failed: initialisations that gave NaN or infinite features.
        seconds: the genome's share of its generation's evaluation time.
    """

    index: int
    generation: int
    architecture: str
    objectives: tuple[float, ...]
    scores: dict[str, float]
    macs: int
    params: int
    failed: int
    seconds: float

    def to_json(self) -> str:
        """One line of strict JSON, without its end."""
        fields: dict[str, Any] = {}
        for name, value in vars(self).items():
            fields |= value if name == "scores" else {name: value}
        return to_json(fields | {"objectives": [finite(value) for value in self.objectives]})

    @classmethod
    def from_json(cls, line: str | bytes, scores: Sequence[str], count: int) -> Self:
        """Read a line; null becomes the worst value there is, and a score that it does not have NaN.

        Args:
            line: what `to_json` wrote, in this version or another one.
            scores: names of the scores; other keys are left alone.
            count: number of objectives.

        Raises:
            ValueError: the line is no evaluation with so many objectives.
        """
        content = parse_json(line.encode() if isinstance(line, str) else line)
        fixed = convert(content, _Line)
        if len(fixed.objectives) != count:
            raise ValueError(f"{len(fixed.objectives)} objectives instead of {count}")
        given = convert({name: content[name] for name in scores if name in content}, dict[str, Number | None])
        measured = {name: _worst(name) if value is None else value for name, value in given.items()}
        objectives = tuple(math.inf if value is None else value for value in fixed.objectives)
        values = {name: getattr(fixed, name) for name in fixed.__struct_fields__}
        unknown = dict.fromkeys(scores, math.nan)
        return cls(**values | {"objectives": objectives, "scores": unknown | measured})


class _Line(msgspec.Struct):
    """What of a line on disk has the same name in every search."""

    index: Natural
    generation: Positive
    architecture: Annotated[Text, msgspec.Meta(min_length=1)]
    objectives: list[Number | None]
    macs: Natural
    params: Natural
    failed: Natural = 0
    seconds: Seconds = 0.0


def _worst(name: str) -> float:
    return -math.inf if recorded(name).maximised else math.inf


class Run(Folder):
    """The folder of a search."""

    defaults = SearchConfig(training_minutes=0)  # older versions trained nothing
    lines = "evaluations.jsonl"
    trainings = "trainings.jsonl"
    appended = lines, history.FILE, trainings

    config: SearchConfig

    @classmethod
    def name(cls, config: SearchConfig) -> str:
        """Space and dataset."""
        return f"{config.space_name}-{config.dataset_name}"

    def record(
        self,
        evaluations: Sequence[Evaluation],
        new: int,
        progress: Progress,
        state: dict[str, np.ndarray],
        forecast: "Forecast | None" = None,
    ) -> None:
        """Write down a generation, in the order that makes a kill harmless.

        Args:
            evaluations: all evaluations so far.
            new: how many of them, the last ones, are of this generation.
            progress: how far the search is.
            state: the algorithm's state.
            forecast: what is predicted of the evaluations, in a calibrated search.

        Raises:
            InputError: the folder cannot be written any more.
        """
        with self.writing():
            self.append_history(progress)  # first, for a run that has all of its evaluations is only read
            self.append([evaluation.to_json() for evaluation in evaluations[-new:]])
            self.write_front(evaluations, self.trained(), forecast)
            self.checkpoints.save(progress.generation, state)

    def append_history(self, progress: Progress) -> None:
        """Add a row to history.csv, which begins with the names of its columns."""
        new = not (self.path / history.FILE).exists()
        self.append([history.HEADER] * new + [history.to_row(progress)], history.FILE)

    def cut_history(self, generations: int) -> int:
        """Keep the rows of so many generations; returns how many there are then, fewer in the folder of an old run."""
        rows = self.cut(1 + generations, history.FILE) - 1
        if rows < 1:  # the header alone, maybe torn
            (self.path / history.FILE).unlink(missing_ok=True)
        return max(rows, 0)

    def evaluations(self) -> list[Evaluation]:
        """The complete lines of evaluations.jsonl; see `read_evaluations`."""
        return read_evaluations(self.path, self.config)

    def trained(self) -> list[TrainedNetwork]:
        """The complete lines of trainings.jsonl."""
        return read_trainings(self.path / self.trainings)

    def finished(self, evaluations: Sequence[Evaluation]) -> bool:
        """Whether all generations are, and the training after them; see `is_finished`."""
        return is_finished(self.path, self.config, evaluations)

    def write_front(
        self,
        evaluations: Sequence[Evaluation],
        trained: Sequence[TrainedNetwork] = (),
        forecast: "Forecast | None" = None,
    ) -> None:
        """Write front.csv: the non-dominated, distinct evaluations by ascending last cost.

        Once all finalists are trained, it has their errors in % on the validation images, and below the networks on the
        front those that others dominate, whose `on_front` is 0.

        Args:
            evaluations: all of them.
            trained: what trained networks can do.
            forecast: what is predicted of the evaluations, whose columns it gets; None: nothing.
        """
        config, front = self.config, front_of(self.config, evaluations, trained, forecast)
        scores = config.recorded
        predicted = {} if forecast is None else {"predicted_error": forecast.error, "predicted_std": forecast.std}
        learned = ["trained_error", "standard_error", "on_front"] if front.final else []
        rows = [*front.rows, *front.fallen] if front.final else front.rows
        with replacing(self.path / "front.csv") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["architecture", *learned, *predicted, *scores, "macs", "params", "generation", "index"])
            for row in rows:
                each = evaluations[row]
                measured = [front.error[row], front.standard_error[row], int(row in front.rows)][: len(learned)]
                values = [*(column[row] for column in predicted.values()), *(each.scores[name] for name in scores)]
                writer.writerow(
                    [each.architecture, *measured, *values, each.macs, each.params, each.generation, each.index]
                )


def front_of(
    config: SearchConfig,
    evaluations: Sequence[Evaluation],
    trained: Sequence[TrainedNetwork],
    forecast: "Forecast | None" = None,
) -> Front:
    """The front of a search.

    Args:
        config: the search, which names the objectives.
        evaluations: all of them, or the first ones.
        trained: what trained networks can do.
        forecast: what is predicted of the evaluations; None: the front is of what they have measured.
    """
    measured = np.array([each.objectives for each in evaluations], float).reshape(-1, len(config.objectives))
    objectives = measured if forecast is None else forecast.points
    texts = [each.architecture for each in evaluations]
    return make_front(objectives, len(config.cost_names), texts, trained)


def is_finished(path: Path, config: SearchConfig, evaluations: Sequence[Evaluation]) -> bool:
    """Whether all generations of a search are finished, and the training after them.

    Args:
        path: the run folder.
        config: the search.
        evaluations: of the run.

    Raises:
        InputError: trainings.jsonl is broken.
    """
    if len(evaluations) < config.evaluations:
        return False
    if not config.trains or not any(np.isfinite(each.objectives).all() for each in evaluations):
        return True
    expected = read_meta(path).get("finally_trained", math.inf)
    return sum(each.role in FINALLY for each in read_trainings(path / Run.trainings)) >= expected


def read_evaluations(path: Path, config: SearchConfig) -> list[Evaluation]:
    """The complete lines of a run's evaluations.jsonl; a last line that a kill has torn is left out.

    Args:
        path: the run folder; without the file, it has no evaluations.
        config: the search, which says what scores and how many objectives a line has.

    Raises:
        InputError: the file is unreadable.
        BrokenLine: another line than the last is broken, or out of order; `intact` holds the evaluations before it.
    """

    def parse(line: bytes, number: int) -> Evaluation:
        evaluation = Evaluation.from_json(line, config.recorded, len(config.objectives))
        expected = number, number // config.population_size + 1
        if (evaluation.index, evaluation.generation) != expected:
            raise ValueError(
                f"index and generation are {evaluation.index} and {evaluation.generation}, not {expected[0]} and "
                f"{expected[1]}"
            )
        missing = [name for name in needed if math.isnan(evaluation.scores.get(name, 0.0))]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
        return evaluation

    needed = [objective.name for objective in config.objectives] + [RACE_ERROR.name] * bool(config.race_images)
    return read_lines(path / Run.lines, parse)
