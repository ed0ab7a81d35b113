"""The front of a search: of what was minimised, and once its networks are trained, of what they have learned."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rwejax.storage.trainings import TrainedNetwork

LABEL, FINALIST, RANDOM, PLAIN = "label", "finalist", "random", "plain"
"""What a search trains networks for: to predict others by, to be on its front, or to be what the front has to beat."""

FINALLY = FINALIST, RANDOM, PLAIN
"""Those that are trained at its end."""

MOST_FINALISTS = 24


@dataclasses.dataclass(frozen=True, eq=False)
class Front:
    """The best networks of a search.

    Attributes:
        rows: of the evaluations on the front, by ascending last cost.
        points: (n, m) what it is the front of, to be minimised: the objectives, or once all finalists are trained the
            error and the costs, infinite for all that are not trained.
        error: (n,) validation error of each evaluation's trained network in %; NaN where there is none.
        standard_error: (n,) of that, in points.
        finalists: rows of the networks that are trained, labels included, by ascending last cost; none before all
            finalists are.
    """

    rows: Int[np.ndarray, " front"]
    points: Float[np.ndarray, "n m"]
    error: Float[np.ndarray, " n"]
    standard_error: Float[np.ndarray, " n"]
    finalists: Int[np.ndarray, " finalists"]

    @property
    def final(self) -> bool:
        """Whether it is one of trained networks."""
        return len(self.finalists) > 0

    @property
    def fallen(self) -> Int[np.ndarray, " fallen"]:
        """Rows of the finalists that are not on the front, by ascending last cost."""
        return self.finalists[~np.isin(self.finalists, self.rows)]


def make_front(
    objectives: Float[np.ndarray, "n m"], costs: int, architectures: Sequence[str], trained: Sequence[TrainedNetwork]
) -> Front:
    """The front of evaluations, some of whose networks may be trained.

    Args:
        objectives: of all evaluations, predicted or measured, to be minimised; costs come last.
        costs: how many of them are costs.
        architectures: texts of the evaluations.
        trained: what trained networks can do, those that are no finalists too.
    """
    roles = {role: {each.architecture: each for each in trained if each.role == role} for role in (LABEL, FINALIST)}
    known = roles[LABEL] | roles[FINALIST]
    error, standard_error = np.full((2, len(objectives)), np.nan)
    seen: dict[str, int] = {}
    for row, text in enumerate(architectures if known else ()):
        if text in known and seen.setdefault(text, row) == row:
            error[row], standard_error[row] = known[text].validation_error, known[text].standard_error
    learned = np.isfinite(error)
    finalists = find_finalists(objectives)
    complete = all(architectures[row] in roles[FINALIST] for row in finalists)
    if not (complete and learned.any()):
        return Front(find_front(objectives), objectives, error, standard_error, finalists[:0])
    points = np.concatenate([error[:, None], objectives[:, objectives.shape[1] - costs :]], 1)
    points = np.where(learned[:, None], points, np.inf)
    shown = np.union1d(finalists, [*seen.values()]).astype(int)
    shown = shown[np.argsort(objectives[shown, -1], kind="stable")]
    return Front(find_front(points), points, error, standard_error, shown)


def find_finalists(objectives: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " finalists"]:
    """The evaluations whose networks are trained: the front, of a large one some, evenly spread over its last cost.

    Args:
        objectives: of all evaluations, to be minimised.

    Returns:
        Rows, by ascending last objective.

    Examples:
        >>> find_finalists(np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 2.0]])).tolist()
        [0, 1]
    """
    front = find_front(objectives)
    return front[np.linspace(0, len(front) - 1, min(MOST_FINALISTS, len(front))).round().astype(int)]


def find_front(objectives: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " front"]:
    """The distinct points that no other point dominates.

    Of several evaluations with equal objectives the first one stands for all. Points that are not finite never count.

    Args:
        objectives: (n, m), to be minimised.

    Returns:
        Rows of `objectives`, by ascending last objective.

    Examples:
        >>> find_front(np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 2.0], [1.0, 2.0]])).tolist()
        [0, 1]
    """
    finite = np.flatnonzero(np.isfinite(objectives).all(axis=1))
    # In this order no point is dominated by, or a repeat of, a later one.
    order = finite[np.lexsort(objectives[finite].T)]
    points = objectives[order]
    front: list[int] = []
    for place, point in enumerate(points):
        if not (points[front] <= point).all(axis=1).any():
            front.append(place)
    return order[front]
