"""What a search has found, as arrays; made from what is on disk, or from what another host has sent."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from rwejax import spaces
from rwejax.config import SearchConfig, from_yaml, to_yaml
from rwejax.runs import Evaluation, find_front


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search has found. Row i of every array is line i of evaluations.jsonl.

    Attributes:
        genomes: (evaluations, genes) int32 canonical genomes, in the order of their evaluation.
        objectives: (evaluations, m) what was minimised: for each estimator its error, or its score negated, and macs in
            millions.
        front: rows of the distinct points that no other point dominates, by ascending macs;
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


def make_result(config: SearchConfig, run_dir: Path, evaluations: Sequence[Evaluation]) -> SearchResult:
    """The result, as a function of the lines of evaluations.jsonl."""
    space = spaces.get(config.space, **config.sizes)
    genomes = [space.from_string(evaluation.architecture) for evaluation in evaluations]
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
    """What was minimised, a row an evaluation."""
    values = [evaluation.objectives for evaluation in evaluations]
    return np.array(values, np.float64).reshape(-1, len(config.estimators) + 1)


def to_text(result: SearchResult) -> str:
    """All of a result, to be sent."""
    lines = [evaluation.to_json() for evaluation in result.evaluations]
    return json.dumps({"config": to_yaml(result.config), "run_dir": str(result.run_dir), "evaluations": lines})


def from_text(text: str) -> SearchResult:
    """What `to_text` wrote."""
    found = json.loads(text)
    run_dir = Path(found["run_dir"])
    config = dataclasses.replace(from_yaml(found["config"]), run_dir=run_dir)
    count = len(config.estimators) + 1
    evaluations = [Evaluation.from_json(line, config.recorded, count) for line in found["evaluations"]]
    return make_result(config, run_dir, evaluations)
