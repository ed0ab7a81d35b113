"""WHAT a genome is worth: features, heads and the scores that rank architectures."""

from rwejax.evaluate.problem import RandomWeightProblem
from rwejax.evaluate.ridge import RidgeScores, ridge_scores
from rwejax.evaluate.rwe import SCORES, RandomWeightEvaluator, Scores

__all__ = ["SCORES", "RandomWeightEvaluator", "RandomWeightProblem", "RidgeScores", "Scores", "ridge_scores"]
