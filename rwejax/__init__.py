"""Training-free neural architecture search in JAX by random-weight evaluation."""

from rwejax.parallel import use_all_cores

use_all_cores()  # first, because importing evosax starts JAX's backends

from rwejax import data, evaluate, evolve, networks, spaces
from rwejax.config import SearchConfig
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator, RandomWeightProblem
from rwejax.evolve import NSGA2
from rwejax.search import SearchResult, resume, search
from rwejax.version import __version__

__all__ = [
    "NSGA2",
    "InputError",
    "RandomWeightEvaluator",
    "RandomWeightProblem",
    "SearchConfig",
    "SearchResult",
    "__version__",
    "data",
    "evaluate",
    "evolve",
    "networks",
    "resume",
    "search",
    "spaces",
]
