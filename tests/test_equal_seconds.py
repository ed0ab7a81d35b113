"""The benchmark of searches at equal seconds: its ways, as short as they can be, and what it makes of their networks."""

import csv
import dataclasses
import importlib
import math
import time
from pathlib import Path

import moocore
import numpy as np
import pytest

from benchmarks.parts import timed_ways, tournaments, trained_fronts
from rwejax import spaces
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


class Alive:
    """What an evolution asks of a trainer; a path leads through all networks."""

    space = spaces.get("macro", nodes=3, channels=2)

    def alive(self, genomes):
        return np.ones(len(genomes), bool)


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


def test_random_networks_and_evolution_train_alike_and_stop_in_time(tmp_path):
    begun = time.time()
    for way, seconds in (("random", 0.0), ("evolution", 0.0)):
        timed_ways.WAYS[way](
            dataclasses.replace(TASK, way=way, folder=str(tmp_path / way), begun=begun, seconds=seconds)
        )

    at_once = 2  # those that are trained first, however little time there is
    random = read_trainings(tmp_path / "random" / timed_ways.TRAINED)
    assert [each.epochs for each in random] == [2] * at_once
    brief = read_trainings(tmp_path / "evolution" / timed_ways.BRIEF)
    assert [each.epochs for each in brief] == [1] * at_once
    assert read_trainings(tmp_path / "evolution" / timed_ways.TRAINED) == []
    assert {each.architecture for each in random} == {each.architecture for each in brief}  # drawn by the same seed


def test_children_differ_in_a_gene_and_the_fronts_come_one_after_another():
    space = Alive.space
    first = np.asarray(space.canonical(np.array([[0] * 12, [1] * 12], np.int32)))
    population = tournaments.Population(Alive(), first, 2, 2, np.random.default_rng(0))
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
        program.write(path, sum(rows, []))

    program.work(config)

    printed = capsys.readouterr().out
    assert "hypervolume            search      0.3" in printed
    with config.output.open() as file:
        assert all(row["hypervolume"] for row in csv.DictReader(file))
    assert config.output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
