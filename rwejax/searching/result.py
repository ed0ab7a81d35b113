"""What a search has found, as arrays, and the choice of one network. Made from what is on disk or another host sent."""

import dataclasses
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from rwejax import spaces
from rwejax.dataframes import make_dataframe
from rwejax.errors import InputError
from rwejax.objectives import COMPLEXITY, COSTS, Objective
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import Front
from rwejax.searching.records import Evaluation, Run, front_of, read_evaluations
from rwejax.searching.trained.forecast import Forecast, labels_of, predict
from rwejax.storage.trainings import TrainedNetwork, read_trainings
from rwejax.storage.yaml_config import from_yaml, read_stored, to_yaml

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search has found. Row i of every array is line i of evaluations.jsonl.

    Attributes:
        genomes: (evaluations, genes) int32 canonical genomes, in the order of their evaluation.
        objectives: (evaluations, m) what was minimised, a column for each of `config.objectives`.
        evaluations: everything that was recorded of each genome.
        run_dir: the run folder.
        config: the search.
        trained: what trained networks can do, in the order of their training: finalists, that is the front of the
            objectives, random networks of their sizes, and a plain CNN.
    """

    genomes: Int[np.ndarray, "n genes"]
    objectives: Float[np.ndarray, "n m"]
    evaluations: tuple[Evaluation, ...]
    run_dir: Path
    config: SearchConfig
    trained: tuple[TrainedNetwork, ...] = ()

    @cached_property
    def forecast(self) -> Forecast | None:
        """Predicted errors of the networks, by those that were trained to calibrate the search; None without these."""
        space = spaces.get(self.config.space, **self.config.sizes)
        labels = labels_of(self.trained)
        return predict(space, self.config, self.genomes, self.objectives, self.evaluations, labels) if labels else None

    @cached_property
    def outcome(self) -> Front:
        """The front with the errors of its trained networks, and those that have fallen out."""
        return front_of(self.config, self.evaluations, self.trained, self.forecast)

    @property
    def minimised(self) -> Float[np.ndarray, "n m"]:
        """What the search goes by: predicted errors and costs, or without predictions the objectives."""
        return self.objectives if self.forecast is None else self.forecast.points

    @property
    def front(self) -> Int[np.ndarray, " front"]:
        """Rows of the distinct points that no other point dominates, by ascending last cost.

        Points of the objectives; of a calibrated search of predicted errors and costs; once the networks of the front
        are trained, of the errors and costs of all that were trained. `result.genomes[result.front]` are their genomes.
        """
        return self.outcome.rows

    def __repr__(self) -> str:
        return f"SearchResult(evaluations={len(self.genomes)}, front={len(self.front)}, run_dir={str(self.run_dir)!r})"

    def pick(self, rule: str = "knee") -> int:
        """Choose one network of the front; see `rwejax.pick`.

        Args:
            rule: "knee", "error", a limit such as "macs:300M", or a number.

        Raises:
            InputError: the rule is none, or leaves no network.
        """
        return pick(self, rule)

    def to_dataframe(self) -> "pd.DataFrame":
        """A row an evaluation: index, generation, architecture, scores, macs, params, on_front, failed, seconds.

        Where networks are trained, also their trained_error in % and its standard_error.

        Raises:
            InputError: pandas is not installed.
        """
        before, after = ("index", "generation", "architecture"), ("failed", "seconds")
        columns: dict[str, Any] = {
            name: [getattr(each, name) for each in self.evaluations] for name in (*before, "macs", "params", *after)
        }
        columns |= {name: [each.scores[name] for each in self.evaluations] for name in self.config.recorded}
        if self.forecast is not None:
            columns |= {"predicted_error": self.forecast.error, "predicted_std": self.forecast.std}
        if self.trained:
            columns |= {"trained_error": self.outcome.error, "standard_error": self.outcome.standard_error}
        columns["on_front"] = np.isin(np.arange(len(self.evaluations)), self.front)
        learned: tuple[str, ...] = ("trained_error", "standard_error") if self.trained else ()
        learned += ("predicted_error", "predicted_std") if self.forecast is not None else ()
        order = (*before, *learned, *self.config.recorded, "macs", "params", "on_front", *after)
        return make_dataframe({name: columns[name] for name in order})

    def plot(self, axes: "Axes | None" = None, x: int = -1, y: int = 0) -> "Figure":
        """Draw all evaluations and the front of their objectives.

        Args:
            axes: where to draw; None: a new figure.
            x: column of the objective along the horizontal axis.
            y: column of the objective along the vertical axis.

        Returns:
            The figure that they are in.
        """
        from rwejax.figures import show  # takes half a second to import
        from rwejax.searching.plot import plot_front

        return show(lambda axes: plot_front(self, axes, x, y), axes)

    def plot_trained(self, axes: "Axes | None" = None) -> "Figure":
        """Draw the errors of the trained networks over their macs, beside those of what they have to beat.

        Args:
            axes: where to draw; None: a new figure.

        Returns:
            The figure that they are in.

        Raises:
            InputError: the finalists are not trained.
        """
        from rwejax.figures import show  # takes half a second to import
        from rwejax.searching.plot import plot_trained

        if not self.outcome.final:
            raise InputError("the networks of the front are not trained: search with --training-minutes")
        return show(lambda axes: plot_trained(self, axes), axes)


def pick(result: SearchResult, rule: str = "knee") -> int:
    """Choose one network of a front, by the errors of trained networks once they are known, before by the objectives.

    Args:
        result: of a search.
        rule: "knee", the point that lies farthest below the plane through the extremes, each objective scaled to the
            front (Das, "On characterizing the knee of the Pareto curve", Structural Optimization 1999); "error", the
            best by the trained error, or before by the first estimator; or a limit of a cost, such as "macs:300M",
            "params:2M", "memory:2MiB" or "latency:5ms": the best of those within it; or a number from 1, the place in
            front.csv.

    Returns:
        Its row: `result.genomes[pick(result)]` is its genome.

    Raises:
        InputError: the rule is none of these, or the front is empty, or has no network within the limit, or the search
            has not recorded that cost.

    Examples:
        >>> import types
        >>> points = np.array([[30.0, 1.0], [12.0, 2.0], [10.0, 9.0]])
        >>> outcome = types.SimpleNamespace(rows=np.arange(3), points=points)
        >>> result = types.SimpleNamespace(objectives=points, outcome=outcome, config=SearchConfig())
        >>> pick(result), pick(result, "error"), pick(result, "macs:3M"), pick(result, "1")
        (1, 2, 1, 0)
    """
    front = result.outcome.rows
    if not len(front):
        why = "no network has a finite score, check the images" if len(result.objectives) else "search first"
        raise InputError(f"the front is empty, so that there is nothing to pick: {why}")
    objectives = result.outcome.points[front]
    if rule == "knee":
        low, high = objectives.min(0), objectives.max(0)
        scaled = (objectives - low) / np.where(high > low, high - low, 1)
        return int(front[scaled.sum(1).argmin()])
    if rule == "error":
        return int(front[objectives[:, 0].argmin()])
    if rule.isdecimal():
        if not 1 <= int(rule) <= len(front):
            raise InputError(
                f"pick {rule!r} is out of range: the front has {len(front)} networks, give 1 to {len(front)}"
            )
        return int(front[int(rule) - 1])
    name, _, limit = rule.partition(":")
    if name not in COSTS:
        raise InputError(
            f"pick {rule!r} is unknown: give knee, error, a number or COST:LIMIT, such as macs:300M or latency:5ms"
        )
    cost = COSTS[name]
    values = _cost_of(result, cost)[front]
    within = values <= cost.parse(limit) / cost.scale
    if not within.any():
        raise InputError(f"pick {rule!r} leaves no network: the least of the front is {cost.write(values.min())}")
    return int(front[within][objectives[within, 0].argmin()])


def _cost_of(result: SearchResult, cost: Objective) -> Float[np.ndarray, " n"]:
    """A cost of every evaluation, in its unit."""
    if cost in result.config.objectives:
        return result.objectives[:, result.config.objectives.index(cost)]
    if cost.name not in COMPLEXITY:
        raise InputError(f"the search has not recorded {cost.name}: pick by {' or '.join(result.config.cost_names)}")
    return np.array([cost.minimised(getattr(evaluation, cost.name)) for evaluation in result.evaluations])


def read_result(run_dir: str | Path) -> SearchResult:
    """What a search has found so far, from its run folder, which may still be at work.

    Args:
        run_dir: the run folder; it is only read.

    Raises:
        InputError: the folder holds no run, or is broken.
    """
    run_dir = Path(run_dir)
    config = read_stored(run_dir, Run.defaults)
    return make_result(config, run_dir, read_evaluations(run_dir, config), read_trainings(run_dir / Run.trainings))


def make_result(
    config: SearchConfig, run_dir: Path, evaluations: Sequence[Evaluation], trained: Sequence[TrainedNetwork] = ()
) -> SearchResult:
    """The result, as a function of the lines of evaluations.jsonl and trainings.jsonl.

    Args:
        config: the search, which names space, sizes and objectives.
        run_dir: the run folder, which is not read.
        evaluations: in the order of the lines.
        trained: likewise.

    Raises:
        InputError: the space is unknown, or has no such sizes, or an architecture is none of it.
    """
    space = spaces.get(config.space, **config.sizes)
    evaluations, genomes = read_genomes(run_dir, evaluations, space)
    return SearchResult(
        genomes=genomes,
        objectives=objectives_of(config, evaluations),
        evaluations=tuple(evaluations),
        run_dir=run_dir,
        config=config,
        trained=tuple(trained),
    )


def read_genomes(
    run_dir: Path, evaluations: Sequence[Evaluation], space: spaces.Space
) -> tuple[list[Evaluation], Int[np.ndarray, "n genes"]]:
    """The genomes of evaluations, and these with the texts that the space writes: older versions wrote others.

    Args:
        run_dir: the run folder, for the error.
        evaluations: as they were recorded.
        space: reads and writes the texts.

    Raises:
        InputError: an architecture is none of the space.
    """
    try:
        genomes = [space.from_string(each.architecture) for each in evaluations]
    except ValueError as error:
        raise InputError(
            f"run folder {str(run_dir)!r} has a line that is none of its space ({error}): restore it"
        ) from error
    texts = map(space.to_string, genomes)
    rewritten = [dataclasses.replace(each, architecture=text) for each, text in zip(evaluations, texts, strict=True)]
    return rewritten, np.array(genomes, np.int32).reshape(-1, len(space.lower))


def objectives_of(config: SearchConfig, evaluations: Sequence[Evaluation]) -> Float[np.ndarray, "n m"]:
    """What was minimised, a row an evaluation.

    Args:
        config: the search, which names the m objectives.
        evaluations: any of its evaluations.

    Returns:
        (evaluations, m) float64, in the units of `config.objectives`; infinite where a network has no score.
    """
    values = [evaluation.objectives for evaluation in evaluations]
    return np.array(values, np.float64).reshape(-1, len(config.objectives))


def to_text(result: SearchResult) -> str:
    """All of a result, to be sent."""
    lines = [evaluation.to_json() for evaluation in result.evaluations]
    trained = [each.to_json() for each in result.trained]
    named = {"config": to_yaml(result.config), "run_dir": str(result.run_dir)}
    return json.dumps({**named, "evaluations": lines, "trained": trained})


def from_text(text: str) -> SearchResult:
    """What `to_text` wrote."""
    found = json.loads(text)
    run_dir = Path(found["run_dir"])
    config = dataclasses.replace(from_yaml(found["config"], SearchConfig()), run_dir=run_dir)
    count = len(config.objectives)
    evaluations = [Evaluation.from_json(line, config.recorded, count) for line in found["evaluations"]]
    return make_result(config, run_dir, evaluations, [TrainedNetwork.from_json(line) for line in found["trained"]])
