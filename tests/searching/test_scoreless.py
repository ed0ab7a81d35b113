"""Searches in which no network has a finite score: they go on, are recorded, drawn, resumed and read."""

import csv
import json
import math

import numpy as np
import pytest

import rwejax
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import SearchObserver
from rwejax.searching.result import pick
from tests import fakes


class Interrupted(Exception):
    pass


class Stop(SearchObserver):
    def __init__(self, generation):
        self.generation = generation

    def on_generation(self, progress):
        if progress.generation == self.generation:
            raise Interrupted


@pytest.fixture
def scores(monkeypatch):
    """Estimators whose scores are those of a function of the generation's number and the genomes."""
    fakes.use(monkeypatch)
    told = {"function": lambda call, genomes: np.full(len(genomes), -np.inf)}

    def get(name, *_, **__):
        calls = iter(range(100))
        return lambda key, genomes: told["function"](told["start"] + next(calls), np.asarray(genomes))

    told["start"] = 0
    monkeypatch.setattr(estimators, "get", get)
    return told


def history(path):
    return list(csv.DictReader((path / "history.csv").read_text().splitlines()))


@pytest.mark.parametrize(
    ("changes", "worst"),
    [
        ({"estimator": "snip"}, -np.inf),
        ({"estimator": "snip"}, np.inf),
        ({"estimator": "snip,zen_score"}, np.nan),
        ({"estimator": "snip", "costs": "macs,memory"}, np.nan),
        ({"estimator": "rwe,snip"}, -np.inf),
        ({"estimator": "snip", "algorithm": "random"}, np.nan),
    ],
    ids=str,
)
def test_a_search_without_scores_ends(scores, tmp_path, changes, worst):
    scores["function"] = lambda call, genomes: np.full(len(genomes), worst)
    result = search(fakes.tiny(generations=3, run_dir=tmp_path / "run", **changes))
    assert len(result.front) == 0
    assert all(each.failed for each in result.evaluations)
    meta = json.loads((result.run_dir / "meta.json").read_text(), parse_constant=pytest.fail)
    assert "hypervolume_reference" not in meta
    rows = history(result.run_dir)
    assert [float(row["hypervolume"]) for row in rows] == [0.0] * 3
    if "rwe" not in changes["estimator"]:
        assert [float(row["best"]) for row in rows] == [math.inf] * 3
    assert len((result.run_dir / "front.csv").read_text().splitlines()) == 1
    assert (result.run_dir / "front.png").stat().st_size > 1000
    for line in (result.run_dir / "evaluations.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["snip"] is None
    for again in (resume(result.run_dir), rwejax.load(result.run_dir)):
        np.testing.assert_array_equal(again.genomes, result.genomes)
        np.testing.assert_array_equal(again.objectives, result.objectives)
    with pytest.raises(InputError, match="no network has a finite score, check the images"):
        pick(result)
    result.plot()


def test_all_that_failed_have_a_reference_of_rwe(monkeypatch, tmp_path):
    fakes.use(monkeypatch).failing = 6
    result = search(fakes.tiny(run_dir=tmp_path / "run"))
    assert len(result.front) == 0
    assert json.loads((result.run_dir / "meta.json").read_text())["hypervolume_reference"][0] == 100
    assert [float(row["hypervolume"]) for row in history(result.run_dir)] == [0.0] * 4


def from_the_third_generation(call, genomes):
    draws = np.array([np.random.default_rng([*map(int, genome)]).random() for genome in genomes])
    return draws if call >= 2 else np.full(len(genomes), np.nan)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_the_first_generation_with_scores_settles_the_reference(scores, tmp_path, stop):
    scores["function"] = from_the_third_generation
    whole = search(fakes.tiny(estimator="snip", run_dir=tmp_path / "whole"))
    volumes = [float(row["hypervolume"]) for row in history(whole.run_dir)]
    assert volumes[:2] == [0.0, 0.0]
    assert 0 <= volumes[2] <= volumes[3]
    assert volumes[3] > 0
    reference = json.loads((whole.run_dir / "meta.json").read_text())["hypervolume_reference"]
    assert reference[0] == whole.objectives[12:18, 0].max()
    with pytest.raises(Interrupted):
        search(fakes.tiny(estimator="snip", run_dir=tmp_path / "run"), [Stop(stop)])
    scores["start"] = stop
    resumed = resume(tmp_path / "run")
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)
    assert json.loads((tmp_path / "run" / "meta.json").read_text())["hypervolume_reference"] == reference
    assert [float(row["hypervolume"]) for row in history(tmp_path / "run")] == volumes


def test_the_console_says_it(scores, tmp_path, capsys):
    from rwejax.searching import console

    assert console.run(fakes.tiny(estimator="snip", generations=2, run_dir=tmp_path / "run")) == 0
    said = capsys.readouterr().out
    assert "no network has a score" in said
    assert "12 evaluations had no finite features or score" in said
    assert "inf" not in said.replace("finite", "")


@pytest.mark.slow
def test_black_images_have_a_score_or_none(tmp_path):
    """The real estimators, on images that are all the same: nothing is to end in a traceback."""
    from PIL import Image

    for name in ("day", "night"):
        (tmp_path / "black" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8)).save(tmp_path / "black" / name / f"{i}.png")
    small = {"channels": 2, "train_images": 16, "validation_images": 8, "population_size": 4, "generations": 2}
    where = {"dataset": f"folder:{tmp_path / 'black'}", "run_dir": tmp_path / "run"}
    result = search(fakes.tiny(**small, **where, nodes=2, estimator="snip"))
    assert np.isfinite(result.objectives[result.front]).all()
    assert len(resume(result.run_dir).genomes) == 8
