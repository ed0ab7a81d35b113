"""WHAT a genome is worth: features, heads and the scores that rank architectures."""

from typing import TYPE_CHECKING, Any

from rwejax.evaluate.random_weight import SCORES, RandomWeightEvaluator, Scores
from rwejax.evaluate.ridge import RidgeScores, ridge_scores

if TYPE_CHECKING:
    from rwejax.evaluate.problem import RandomWeightProblem

__all__ = ["SCORES", "RandomWeightEvaluator", "RandomWeightProblem", "RidgeScores", "Scores", "ridge_scores"]


def __getattr__(name: str) -> Any:
    # evosax's problems take a second to import, and a search has no use for them.
    if name == "RandomWeightProblem":
        from rwejax.evaluate.problem import RandomWeightProblem

        return RandomWeightProblem
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
