"""WHAT becomes of a found network: it is trained for real, from new weights."""

from rwejax.training.config import TrainConfig
from rwejax.training.loop import Observer, TrainResult, choose, resume, train
from rwejax.training.records import Epoch, Test

__all__ = ["Epoch", "Observer", "Test", "TrainConfig", "TrainResult", "choose", "resume", "train"]
