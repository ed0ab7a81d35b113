"""WHAT becomes of a found network: it is trained for real, from new weights."""

from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch, Test
from rwejax.training.train import Observer, TrainResult, choose, resume, train

__all__ = ["Epoch", "Observer", "Test", "TrainConfig", "TrainResult", "choose", "resume", "train"]
