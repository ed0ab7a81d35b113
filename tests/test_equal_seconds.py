"""The benchmark of searches at equal seconds: its ways, when they stop, and what it makes of their networks."""

import csv
import dataclasses
import importlib
import itertools
import math
import time
from pathlib import Path

import moocore
import numpy as np
import pytest

from benchmarks.parts import timed_ways, tournaments, trained_fronts
from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evaluate.population import PopulationTrainer, Trained
from rwejax.storage.trainings import TrainedNetwork, read_trainings

TASK = timed_ways.Task(
    way="random",
    seed=0,
    folder="",
    dataset="digits",
    data_dir=None,
    image_size=None,
    train_images=64,
    validation_images=32,
    space="macro",
    sizes={"nodes": 3, "channels": 2},
    epochs=2,
    generations=1,
    population_size=4,
    calibrate=4,
    evolution_population=4,
    tournament=2,
    brief_epochs=1,
)
WORST = (80.0, 1000)


class Clock:
    """Says the time that a test has come to."""

    now = 1000.0

    def time(self):
        return self.now

    perf_counter = time


class Trainer(PopulationTrainer):
    """Learns nothing, and takes a time in proportion to the largest network, longer at first."""

    clock = Clock()
    networks_at_once = 2
    compilation = 30.0
    log: tuple[tuple[int, float], ...] = ()

    def __call__(self, genomes, epochs=None):
        assert len(genomes) <= self.networks_at_once
        macs = self.space.macs(genomes)
        self.clock.now += self.compilation + epochs * macs.max() / 1e4
        self.compilation = 0.0
        type(self).log += ((epochs, self.clock.now),)
        for number, size in enumerate(macs):
            right = int(size) % (self.validation_images + 1)
            yield Trained(number, np.zeros(epochs), 0.0, 1.0, right, ({}, {}), {}, 1.0)


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.setattr(Trainer, "log", ())
    monkeypatch.setattr(Trainer, "clock", Clock())
    monkeypatch.setattr(timed_ways, "PopulationTrainer", Trainer)
    monkeypatch.setattr(timed_ways, "time", Trainer.clock)
    return Trainer


def trained(role, architecture="a", error=50.0, macs=100):
    return TrainedNetwork(architecture, 2, error, 1.0, 1.0, 1.0, 50.0, macs, 10, 1.0, role)


def setting(seed, way):
    return dict.fromkeys(trained_fronts.SETTING, "x") | {"seed": seed, "way": way}


def network(seed, way, role, error, macs):
    return setting(seed, way) | {
        "role": role,
        "architecture": f"{error}-{macs}",
        "macs": str(macs),
        "error": str(error),
    }


def whole(seed):
    """A seed that all ways have run with; its random networks reach to `WORST`."""
    runs = [
        setting(seed, way) | {"seconds": "1", "networks": "2", "brief_trainings": "0", "hypervolume": ""}
        for way in timed_ways.WAYS
    ]
    networks = [
        network(seed, "random", "random", WORST[0], 200),
        network(seed, "random", "random", 40.0, WORST[1]),
        network(seed, "search", "finalist", 60.0, 300),
        network(seed, "search", "random", 30.0, 800),
        network(seed, "search", "plain", 1.0, 100),
        network(seed, "calibrated", "label", 20.0, 900),
        network(seed, "calibrated", "finalist", "", 100),
        network(seed, "evolution", "final", 70.0, 1500),
    ]
    return runs, networks


@pytest.mark.slow
def test_random_networks_are_trained_however_little_time_there_is(tmp_path):
    task = dataclasses.replace(TASK, folder=str(tmp_path / "random"), begun=time.time(), seconds=0.0)
    timed_ways.random(task)

    found = read_trainings(tmp_path / "random" / timed_ways.TRAINED)

    assert [(each.epochs, each.role) for each in found] == [(2, "random")] * 2  # one on each device
    assert all(0 <= each.validation_error <= 100 for each in found)


def test_a_process_that_fails_says_so(tmp_path, capfd):
    with pytest.raises(InputError, match="random with seed 0 has failed, exit code 2"):
        timed_ways.run(dataclasses.replace(TASK, folder=str(tmp_path / "random"), space="nonsense", seconds=1.0))
    assert "'nonsense'" in capfd.readouterr().err


def test_random_networks_differ_and_end_in_time(tmp_path, trainer):
    timed_ways.random(dataclasses.replace(TASK, folder=str(tmp_path / "random"), begun=1000.0, seconds=200.0))

    found = read_trainings(tmp_path / "random" / timed_ways.TRAINED)
    ends = [end for _, end in trainer.log]
    longest = max(np.diff(ends))
    assert len({each.architecture for each in found}) == len(found) == 2 * len(ends) > 6
    assert 1200 - 1.2 * longest < ends[-1] < 1200


def test_an_evolution_judges_for_half_of_the_time_and_trains_its_front(tmp_path, trainer):
    timed_ways.evolution(dataclasses.replace(TASK, folder=str(tmp_path / "evolution"), begun=1000.0, seconds=200.0))

    brief, whole = (read_trainings(tmp_path / "evolution" / name) for name in (timed_ways.BRIEF, timed_ways.TRAINED))
    ends = {epochs: [end for each, end in trainer.log if each == epochs] for epochs in (1, 2)}
    assert 1100 - 1.2 * max(np.diff(ends[1])) < ends[1][-1] < 1100 < ends[2][0]
    assert ends[2][-1] < 1200
    assert len({each.architecture for each in brief}) == len(brief) > TASK.evolution_population
    front = [
        one.architecture
        for one in sorted(brief, key=lambda each: each.macs)
        if not any(
            other.macs <= one.macs
            and other.validation_error <= one.validation_error
            and (other.macs, other.validation_error) != (one.macs, one.validation_error)
            for other in brief
        )
    ]
    chosen = {each.architecture for each in whole[: len(front)]}
    assert len(chosen & set(front)) >= len(dict.fromkeys((each.macs) for each in brief if each.architecture in front))


def test_children_differ_and_the_fronts_come_one_after_another():
    space = spaces.get("macro", nodes=3, channels=2)
    first = np.asarray(space.canonical(np.array([[0] * 12, [1] * 12], np.int32)))
    alive = np.ones(1, bool)
    population = tournaments.Population(space, lambda genomes: alive, first, 2, 2, np.random.default_rng(0))
    assert np.array_equal(population.ask(2), first)
    population.tell(first, [50.0, 40.0])

    children = population.ask(2)
    assert len({genome.tobytes() for genome in (*first, *children)}) == 4
    population.tell(children, [math.nan, 90.0])
    order = [space.to_string(genome) for genome in population.by_fronts()]

    assert space.macs(first)[0] < space.macs(first)[1]
    assert order[:2] == [space.to_string(genome) for genome in first]  # smaller and worse, larger and better
    assert order[2:] == [space.to_string(children[1])]  # the other one has diverged


def test_a_network_counts_once_and_a_plain_one_by_itself():
    found = trained_fronts.distinct([trained("label"), trained("plain"), trained("finalist"), trained("random", "b")])
    assert sorted((each.role, each.architecture) for each in found) == [
        ("finalist", "a"),
        ("plain", "a"),
        ("random", "b"),
    ]


def test_measures_are_those_of_the_networks_that_a_run_has_trained():
    runs, networks = whole("0")
    found = {row["way"]: row for row in trained_fronts.measured(runs, networks)}

    def volume(*points):
        return moocore.hypervolume(np.array(points) / WORST, ref=[1, 1])

    assert float(found["search"]["hypervolume"]) == pytest.approx(volume((60, 300), (30, 800)), abs=1e-4)
    assert float(found["search"]["hypervolume_finalists"]) == pytest.approx(volume((60, 300)), abs=1e-4)
    assert float(found["calibrated"]["hypervolume"]) == pytest.approx(volume((20, 900)), abs=1e-4)
    assert float(found["calibrated"]["hypervolume_finalists"]) == 0  # the finalist has diverged
    assert found["random"]["hypervolume_finalists"] == found["random"]["hypervolume"]
    assert float(found["evolution"]["hypervolume"]) == 0  # larger than any random network
    assert [found["search"][name] for name in trained_fronts.QUANTILES] == ["60.0000", "60.0000", "30.0000"]
    assert found["evolution"]["error_within_100"] == ""


def test_a_seed_that_lacks_a_way_is_not_measured_yet():
    runs, networks = whole("0")
    more, others = whole("1")
    alone = trained_fronts.measured(runs, networks)

    found = trained_fronts.measured(runs + more[:2], networks + others)

    assert found[: len(runs)] == alone
    assert {row["hypervolume"] for row in found[len(runs) :]} == {""}


@pytest.mark.parametrize(
    ("differences", "larger", "said"),
    [
        ([0.1, 0.11, 0.12], True, "ahead by more"),
        ([0.1, 0.11, 0.12], False, "behind by more"),
        ([-0.1, 0.11, 0.12], True, "not to be told apart"),
        ([0.1, 0.14], True, "not to be told apart"),
        ([0.1], True, "one seed"),
    ],
)
def test_a_difference_is_told_from_the_spread_of_seeds(differences, larger, said):
    assert said in trained_fronts.verdict(np.array(differences), larger)


def test_what_is_on_disk_is_measured_and_drawn_without_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    program = importlib.import_module("equal_seconds")
    config = program.Config(output=tmp_path / "runs.csv", summarise=True)
    seeds = [whole(seed) for seed in "012"]
    for path, rows in zip((config.output, config.networks), zip(*seeds, strict=True), strict=True):
        program.write(path, list(itertools.chain(*rows)))

    program.work(config)

    printed = capsys.readouterr().out
    assert "hypervolume            search      0.25 (0.25 - 0.25, std 0)" in printed
    with config.output.open() as file:
        assert all(row["hypervolume"] for row in csv.DictReader(file))
    assert config.output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
