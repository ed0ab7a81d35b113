"""Training-free neural architecture search in JAX by random-weight evaluation."""

from typing import TYPE_CHECKING, Any

from rwejax.runtime.devices import connect, use_all_cores, use_long_vectors

# Both must come before JAX starts; nothing that is imported here starts it.
use_all_cores()
use_long_vectors()

from rwejax import data, evaluate, evolve, networks, spaces, training
from rwejax.config import CorrelateConfig, CorrelateRunsConfig, SearchConfig
from rwejax.correlate import CorrelateResult, correlate
from rwejax.correlate_runs import CorrelateRunsResult, correlate_runs
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator
from rwejax.evolve import NSGA2
from rwejax.export import Card, export
from rwejax.networks import build
from rwejax.results import pick
from rwejax.search import SearchResult, resume, search
from rwejax.training import TrainConfig, TrainResult, train
from rwejax.version import __version__

if TYPE_CHECKING:
    from rwejax.evaluate import RandomWeightProblem

__all__ = [
    "NSGA2",
    "Card",
    "CorrelateConfig",
    "CorrelateResult",
    "CorrelateRunsConfig",
    "CorrelateRunsResult",
    "InputError",
    "RandomWeightEvaluator",
    "RandomWeightProblem",
    "SearchConfig",
    "SearchResult",
    "TrainConfig",
    "TrainResult",
    "__version__",
    "build",
    "connect",
    "correlate",
    "correlate_runs",
    "data",
    "evaluate",
    "evolve",
    "export",
    "networks",
    "pick",
    "resume",
    "search",
    "spaces",
    "train",
    "training",
]


def __getattr__(name: str) -> Any:
    if name == "RandomWeightProblem":  # imported when it is asked for, see `rwejax.evaluate`
        return evaluate.RandomWeightProblem
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
