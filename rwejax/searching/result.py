"""What a search has found, as arrays, and the choice of one network. Made from what is on disk or another host sent."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from rwejax import spaces
from rwejax.dataframes import make_dataframe
from rwejax.errors import InputError
from rwejax.objectives import COMPLEXITY, COSTS, Objective
from rwejax.searching.config import SearchConfig
from rwejax.searching.records import Evaluation, find_front, read_evaluations
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
        front: rows of the distinct points that no other point dominates, by ascending last cost;
            `result.genomes[result.front]` are their genomes.
        evaluations: everything that was recorded of each genome.
        run_dir: the run folder.
        config: the search.
    """

    genomes: Int[np.ndarray, "n genes"]
    objectives: Float[np.ndarray, "n m"]
    front: Int[np.ndarray, " front"]
    evaluations: tuple[Evaluation, ...]
    run_dir: Path
    config: SearchConfig

    def __repr__(self) -> str:
        return f"SearchResult(evaluations={len(self.genomes)}, front={len(self.front)}, run_dir={str(self.run_dir)!r})"

    def pick(self, rule: str = "knee") -> int:
        """Choose one network of the front; see `rwejax.pick`.

        Args:
            rule: "knee", "error" or a limit such as "macs:300M".

        Raises:
            InputError: the rule is none, or leaves no network.
        """
        return pick(self, rule)

    def to_dataframe(self) -> "pd.DataFrame":
        """A row an evaluation: index, generation, architecture, scores, macs, params, on_front, failed, seconds.

        Raises:
            InputError: pandas is not installed.
        """
        before, after = ("index", "generation", "architecture"), ("failed", "seconds")
        columns: dict[str, Any] = {
            name: [getattr(each, name) for each in self.evaluations] for name in (*before, "macs", "params", *after)
        }
        columns |= {name: [each.scores[name] for each in self.evaluations] for name in self.config.recorded}
        columns["on_front"] = np.isin(np.arange(len(self.evaluations)), self.front)
        order = (*before, *self.config.recorded, "macs", "params", "on_front", *after)
        return make_dataframe({name: columns[name] for name in order})

    def plot(self, axes: "Axes | None" = None, x: int = -1, y: int = 0) -> "Figure":
        """Draw all evaluations and their front.

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


def pick(result: SearchResult, rule: str = "knee") -> int:
    """Choose one network of a front.

    Args:
        result: of a search.
        rule: "knee", the point that lies farthest below the plane through the extremes, each objective scaled to the
            front (Das, "On characterizing the knee of the Pareto curve", Structural Optimization 1999); "error", the
            best by the first estimator; or a limit of a cost, such as "macs:300M", "params:2M", "memory:2MiB" or
            "latency:5ms": the best by the first estimator of those within it.

    Returns:
        Its row: `result.genomes[pick(result)]` is its genome.

    Raises:
        InputError: the rule is none of these, or the front is empty, or has no network within the limit, or the search
            has not recorded that cost.

    Example:
        >>> import types
        >>> objectives = np.array([[30.0, 1.0], [12.0, 2.0], [10.0, 9.0]])
        >>> result = types.SimpleNamespace(objectives=objectives, front=np.arange(3), config=SearchConfig())
        >>> pick(result), pick(result, "error"), pick(result, "macs:3M")
        (1, 2, 1)
    """
    front = result.front
    if not len(front):
        why = "no network has a finite score, check the images" if len(result.objectives) else "search first"
        raise InputError(f"the front is empty, so that there is nothing to pick: {why}")
    objectives = result.objectives[front]
    if rule == "knee":
        low, high = objectives.min(0), objectives.max(0)
        scaled = (objectives - low) / np.where(high > low, high - low, 1)
        return int(front[scaled.sum(1).argmin()])
    if rule == "error":
        return int(front[objectives[:, 0].argmin()])
    name, _, limit = rule.partition(":")
    if name not in COSTS:
        raise InputError(f"pick {rule!r} is unknown: give knee, error or COST:LIMIT, such as macs:300M or latency:5ms")
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
    config = read_stored(Path(run_dir), SearchConfig())
    return make_result(config, Path(run_dir), read_evaluations(Path(run_dir), config))


def make_result(config: SearchConfig, run_dir: Path, evaluations: Sequence[Evaluation]) -> SearchResult:
    """The result, as a function of the lines of evaluations.jsonl.

    Args:
        config: the search, which names space, sizes and objectives.
        run_dir: the run folder, which is not read.
        evaluations: in the order of the lines.

    Raises:
        InputError: the space is unknown, or has no such sizes, or an architecture is none of it.
    """
    space = spaces.get(config.space, **config.sizes)
    try:
        genomes = [space.from_string(evaluation.architecture) for evaluation in evaluations]
    except ValueError as error:
        raise InputError(
            f"run folder {str(run_dir)!r} has a line that is none of its space ({error}): restore it"
        ) from error
    objectives = objectives_of(config, evaluations)
    return SearchResult(
        genomes=np.array(genomes, np.int32).reshape(-1, len(space.lower)),
        objectives=objectives,
        front=find_front(objectives),
        evaluations=tuple(evaluations),
        run_dir=run_dir,
        config=config,
    )


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
    return json.dumps({"config": to_yaml(result.config), "run_dir": str(result.run_dir), "evaluations": lines})


def from_text(text: str) -> SearchResult:
    """What `to_text` wrote."""
    found = json.loads(text)
    run_dir = Path(found["run_dir"])
    config = dataclasses.replace(from_yaml(found["config"], SearchConfig()), run_dir=run_dir)
    count = len(config.objectives)
    evaluations = [Evaluation.from_json(line, config.recorded, count) for line in found["evaluations"]]
    return make_result(config, run_dir, evaluations)
