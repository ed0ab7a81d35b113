# The public names, as `__init__.py` gives them out when they are asked for.
from . import data as data
from . import evaluate as evaluate
from . import evolve as evolve
from . import networks as networks
from . import spaces as spaces
from .correlating.config import CorrelateConfig as CorrelateConfig
from .correlating.config import CorrelateRunsConfig as CorrelateRunsConfig
from .correlating.loop import correlate as correlate
from .correlating.result import CorrelateObserver as CorrelateObserver
from .correlating.result import CorrelateResult as CorrelateResult
from .correlating.result import CorrelateRunsResult as CorrelateRunsResult
from .correlating.runs import correlate_runs as correlate_runs
from .errors import InputError as InputError
from .evaluate.problem import RandomWeightProblem as RandomWeightProblem
from .evaluate.random_weight import RandomWeightEvaluator as RandomWeightEvaluator
from .evolve.nsga2 import NSGA2 as NSGA2
from .exporting.card import Card as Card
from .exporting.package import export as export
from .networks import build as build
from .runtime.devices import connect as connect
from .runtime.devices import use_all_cores as use_all_cores
from .searching.config import SearchConfig as SearchConfig
from .searching.loop import resume as resume
from .searching.loop import search as search
from .searching.observers import Progress as Progress
from .searching.observers import SearchObserver as SearchObserver
from .searching.result import SearchResult as SearchResult
from .searching.result import pick as pick
from .tracking.tensorboard import TensorBoardObserver as TensorBoardObserver
from .tracking.wandb import WandbObserver as WandbObserver
from .training.config import TrainConfig as TrainConfig
from .training.loop import TrainResult as TrainResult
from .training.loop import train as train
from .training.observers import TrainObserver as TrainObserver

__version__: str
