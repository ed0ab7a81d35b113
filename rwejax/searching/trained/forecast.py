"""What a search predicts of its networks, once a few of them are trained: the error that each would have."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from rwejax.evaluate import trust
from rwejax.evaluate.predictor import Prediction, fit, leave_one_out
from rwejax.evaluate.trust import Trust
from rwejax.evaluate.untrained import Table, tabulate
from rwejax.objectives import COMPLEXITY
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import LABEL
from rwejax.searching.records import Evaluation
from rwejax.spaces import Space
from rwejax.storage.trainings import TrainedNetwork


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """Predictions for all evaluations of a search. Row i of every array is one of them.

    Attributes:
        error: (n,) predicted error of the trained network in %; NaN of one without scores.
        std: (n,) its standard deviation, in points.
        points: (n, m) what the search minimises by it: the error and the costs; infinite for networks without scores.
        prediction: the same, and what orders the networks.
        table: what the predictor was fitted to.
        labelled: (labels,) rows of the networks that were trained for it.
        errors: (labels,) of these, in %.
    """

    error: Float[np.ndarray, " n"]
    std: Float[np.ndarray, " n"]
    points: Float[np.ndarray, "n m"]
    prediction: Prediction
    table: Table
    labelled: Int[np.ndarray, " labels"]
    errors: Float[np.ndarray, " labels"]

    def check(self) -> Trust:
        """Whether the labels agree with each other and with the prior."""
        return trust.check(self.table, self.labelled, self.errors)

    def left_out(self) -> Prediction:
        """(labels,) what each label is predicted to be by the others; NaN where no two of these differ."""
        return leave_one_out(self.table, self.labelled, self.errors)


def predict(
    space: Space,
    config: SearchConfig,
    genomes: Int[np.ndarray, "n genes"],
    objectives: Float[np.ndarray, "n m"],
    evaluations: Sequence[Evaluation],
    labels: Mapping[str, TrainedNetwork],
) -> Forecast | None:
    """Predict the trained error of the networks of a search; the score that it minimises is the prior.

    Args:
        space: of the networks, for images of any size.
        config: the search.
        genomes: of all evaluations, in canonical form.
        objectives: what all evaluations have measured.
        evaluations: all of them.
        labels: trained networks, by architecture; those that are none of the evaluations do not count.

    Returns:
        None as long as no two labels differ.
    """
    first = {each.architecture: row for row, each in reversed(list(enumerate(evaluations)))}
    rows = sorted((first[text], network.validation_error) for text, network in labels.items() if text in first)
    labelled, errors = np.array([row for row, _ in rows], int), np.array([error for _, error in rows], float)
    if len(np.unique(errors[np.isfinite(errors)])) < 2:
        return None
    scores: dict[str, Float[np.ndarray, " n"]] = {
        name: np.array([each.scores[name] for each in evaluations], float) for name in config.recorded
    }
    scores |= {name: np.array([getattr(each, name) for each in evaluations], float) for name in COMPLEXITY}
    table = tabulate(space, genomes, scores, -objectives[:, 0])
    prediction = fit(table, labelled, errors).predict(table)
    alive = np.isfinite(objectives).all(1)
    error, std = (np.where(alive, each, np.nan) for each in (prediction.error, prediction.std))
    points = np.where(alive[:, None], np.column_stack([prediction.error, objectives[:, 1:]]), np.inf)
    return Forecast(error, std, points, prediction, table, labelled, errors)


def labels_of(trained: Sequence[TrainedNetwork]) -> dict[str, TrainedNetwork]:
    """The networks that were trained to predict others by, by architecture.

    Args:
        trained: all networks that a search has trained.
    """
    return {each.architecture: each for each in trained if each.role == LABEL}
