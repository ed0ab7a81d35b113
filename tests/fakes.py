"""An evaluator that compiles nothing: a network's scores are drawn from a generator that its genome seeds."""

import importlib
import json

import numpy as np

from rwejax.evaluate.forward import ForwardScores
from rwejax.evaluate.population.trainer import PopulationTrainer, Trained
from rwejax.searching.config import SearchConfig


def tiny(**changes) -> SearchConfig:
    sizes = {"nodes": 3, "channels": 4, "train_images": 40, "validation_images": 20, "calibration_images": 20}
    given = {**sizes, "population_size": 6, "generations": 4, "estimator": "rwe", "training_minutes": 0, **changes}
    return SearchConfig(**given)


TRAINED = {
    "nodes": 3,
    "channels": 2,
    "image_size": 8,
    "train_images": 60,
    "validation_images": 30,
    "calibration_images": 20,
    "population_size": 8,
    "training_epochs": 2,
}
"""Of a search whose networks are trained in a moment, by nothing that is faked."""


def without_seconds(path) -> list[dict]:
    """The lines of a file, but for what no two runs have alike."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


class FakeEvaluator:
    """Counts its calls, and does as its class is told: `failing` genomes a population have infinite features."""

    calls = 0
    failing = 0
    before_call = staticmethod(lambda calls: None)

    def __init__(self, space, dataset, scores, **knobs):
        self.space, self.images = space, len(dataset.train_images)
        self.worst = {name: score.worst.get(name, -np.inf) for score in scores for name in score.names}

    def __call__(self, key, genomes):
        FakeEvaluator.calls += 1
        self.before_call(FakeEvaluator.calls)
        np.testing.assert_array_equal(genomes, self.space.canonical(genomes))
        draws = [np.random.default_rng([*map(int, genome)]).random(3) for genome in genomes]
        # Wider networks are better, but not always, so that there is a front to find.
        error = np.array([60 - 20 * genome.mean() + 10 * draw[0] for genome, draw in zip(genomes, draws, strict=True)])
        # Fewer images than `tiny` has are taken for more.
        error += [5 * draw[2] * max(0, 1 - self.images / 40) for draw in draws]
        ridge = {
            "loo_error": error,
            "validation_error": error + [draw[1] for draw in draws],
            "loo_squared_error": error / 100,
            "log_evidence": -error / 50,
        }
        failed = np.arange(len(genomes)) < self.failing
        values = {name: np.where(failed, bad, ridge.get(name, -error)) for name, bad in self.worst.items()}
        return ForwardScores(values, failed.astype(int))


def use(monkeypatch) -> type[FakeEvaluator]:
    """Put the fake in the place of the real evaluator."""
    objectives = importlib.import_module("rwejax.evaluate.scoring")
    monkeypatch.setattr(objectives, "ForwardPass", FakeEvaluator)
    for name, value in {"calls": 0, "failing": 0, "before_call": staticmethod(lambda calls: None)}.items():
        monkeypatch.setattr(FakeEvaluator, name, value)
    return FakeEvaluator


def use_trainer(monkeypatch):
    """Have populations trained in no time: the larger a network, the more images it tells wrong."""

    def train(self, genomes, epochs=None):
        places = np.argsort(np.argsort(self.space.macs(genomes), kind="stable"))
        for number, place in enumerate(places):
            correct = max(self.validation_images - 1 - int(place), 0)
            yield Trained(number, np.ones(epochs), 50.0, 1.0, correct, (), {}, 0.0)

    monkeypatch.setattr(PopulationTrainer, "__call__", train)
