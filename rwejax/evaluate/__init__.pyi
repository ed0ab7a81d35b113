from . import estimators as estimators
from .problem import RandomWeightProblem as RandomWeightProblem
from .random_weight import RandomWeightEvaluator as RandomWeightEvaluator
from .random_weight import Scores as Scores
from .ridge import RidgeScores as RidgeScores
from .ridge import ridge_scores as ridge_scores
