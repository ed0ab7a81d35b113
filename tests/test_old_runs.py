"""Run folders of version 0.1.0, which are committed, are read and resumed; keys of other versions are no damage."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import rwejax
from rwejax import CorrelateRunsConfig, InputError
from rwejax.cli import status
from rwejax.runtime import environment
from rwejax.searching.loop import resume, search
from rwejax.searching.old_runs import of_format
from rwejax.storage.meta import FORMAT
from rwejax.training.loop import resume as resume_training
from tests import fakes

OLD = Path(__file__).parent / "data" / "0.1.0"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    fakes.use(monkeypatch)
    monkeypatch.setattr("rwejax.searching.plot.save_front", lambda result, path: None)
    monkeypatch.setattr("rwejax.training.plot.save_curve", lambda epochs, path: None)


@pytest.fixture
def here(monkeypatch):
    """Makes the versions that a folder names those of this process."""

    def pretend(folder):
        versions = json.loads((folder / "meta.json").read_text())["versions"]
        monkeypatch.setattr(environment, "__version__", versions["rwejax"])
        monkeypatch.setattr(environment, "version", versions.get)

    return pretend


@pytest.fixture
def searched(tmp_path):
    return Path(shutil.copytree(OLD / "search", tmp_path / "search"))


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rows(run):
    return [json.loads(line) | {"seconds": 0} for line in (run / "evaluations.jsonl").read_text().splitlines()]


def test_a_search_is_resumed_to_what_a_fresh_one_finds(searched, here, tmp_path):
    here(searched)
    before = (searched / "evaluations.jsonl").read_bytes()
    fresh = search(fakes.tiny(generations=3, run_dir=tmp_path / "fresh"))
    result = resume(searched)
    assert (searched / "evaluations.jsonl").read_bytes().startswith(before)
    np.testing.assert_array_equal(result.genomes, fresh.genomes)
    np.testing.assert_allclose(result.objectives, fresh.objectives)
    meta = json.loads((searched / "meta.json").read_text())
    assert meta["format"] == FORMAT
    assert len(meta["resume_times"]) == 1
    assert "resume_versions" not in meta
    assert rwejax.load(searched).evaluations == result.evaluations


def test_later_scores_compare_with_those_of_an_older_format():
    """`fit_path` and `rwf` looked at 400 images whatever the config said, which now decides."""
    config = fakes.tiny(estimator="fit_path")
    for old in ({"versions": {}}, {"format": 2}):
        assert of_format(config, old) == dataclasses.replace(config, calibration_images=400)
    for same in ({}, {"format": 3}):
        assert of_format(config, same) == config
    for estimator in ("rwe", "snip", "macs"):
        assert of_format(fakes.tiny(estimator=estimator), {"format": 2}) == fakes.tiny(estimator=estimator)
    for estimator in ("nwot", "rwe_softmax", "rwe,fit_path"):
        with pytest.raises(InputError, match=f"older rwejax, whose {estimator.partition(',')[0]} had other weights"):
            of_format(fakes.tiny(estimator=estimator), {"format": 2})


def test_a_training_is_loaded_and_resumed(here, tmp_path):
    run = Path(shutil.copytree(OLD / "training", tmp_path / "run"))
    here(run)
    loaded = rwejax.load(run)
    assert ([each.epoch for each in loaded.epochs], loaded.test) == ([1, 2], None)
    resumed = resume_training(run)
    assert resumed.epochs[:2] == loaded.epochs
    assert [each.epoch for each in resumed.epochs] == [1, 2, 3]
    assert resumed.test.test_images > 0
    assert json.loads((run / "meta.json").read_text())["origin"]["pick"] == "knee"


def test_a_correlation_is_loaded():
    result = rwejax.load(OLD / "correlation" / "table.csv")
    assert [each.estimator for each in result.measured] == ["macs", "nwot"]
    assert [each.correlation.spearman for each in result.measured] == [0.6, 0.3]
    assert sorted(result.values) == pytest.approx([80, 81.1, 82.2, 83.3, 84.4])


def test_runs_are_correlated_to_the_old_table(tmp_path):
    folder = OLD / "correlate-runs"
    config = CorrelateRunsConfig(str(OLD / "search"), folder / "truth.csv", "accuracy", tmp_path / "table.csv")
    rwejax.correlate_runs(config)
    mine, old = ((path / "table.csv").read_text().splitlines() for path in (tmp_path, folder))
    assert [line.partition(",")[2] for line in mine] == [line.partition(",")[2] for line in old]


@pytest.mark.parametrize("kind", ["search", "training"])
def test_the_status_is_told(kind, capsys):
    status.main([str(OLD / kind)])
    out = capsys.readouterr().out
    assert "not finished" in out
    assert "damaged" not in out


def test_other_versions_are_said_in_a_line_and_recorded(searched):
    change(searched / "meta.json", versions={"rwejax": "0.0.9", "jax": "0.9.0"})
    with pytest.warns(UserWarning, match=r"the run was at work under rwejax .*: bits may differ") as said:
        resume(searched)
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    meta = json.loads((searched / "meta.json").read_text())
    assert meta["versions"] == {"rwejax": "0.0.9", "jax": "0.9.0"}
    assert meta["resume_versions"][0]["rwejax"] == rwejax.__version__
    assert environment.resumed(meta, 0)["resume_versions"] == meta["resume_versions"], "the same again is said again"


def test_what_a_newer_version_adds_is_kept(searched, here):
    here(searched)
    change(searched / "meta.json", colour="blue")
    lines = [
        json.loads(line) | {"entropy": [1, {"a": None}]}
        for line in (searched / "evaluations.jsonl").read_text().splitlines()
    ]
    (searched / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = resume(searched)
    assert len(result.evaluations) == 18
    assert [row.get("entropy") for row in rows(searched)[:12]] == [[1, {"a": None}]] * 12
    assert json.loads((searched / "meta.json").read_text())["colour"] == "blue"


def test_what_an_older_version_did_not_write_is_filled(searched):
    lines = rows(searched)
    for line in lines:
        for name in ("failed", "seconds", "log_evidence"):
            del line[name]
    (searched / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = rwejax.load(searched).evaluations
    assert [(each.failed, each.seconds) for each in found] == [(0, 0.0)] * 12
    assert np.isnan([each.scores["log_evidence"] for each in found]).all()
    del lines[3]["loo_error"]
    (searched / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match=r"line 4 of .* is broken .*no loo_error"):
        rwejax.load(searched)


@pytest.mark.parametrize("version", [FORMAT + 1, 10**30])
def test_a_newer_format_is_refused_whatever_else_is_new(searched, version):
    change(searched / "meta.json", format=version)
    (searched / "config.yaml").write_text("colour: blue\n")
    for call in (rwejax.load, resume):
        with pytest.raises(InputError, match="use a newer rwejax"):
            call(searched)


def test_the_config_fills_fields_that_are_missing(searched):
    text = (searched / "config.yaml").read_text()
    (searched / "config.yaml").write_text(text.replace("latency_batch: 1\n", "").replace("race_images: null\n", ""))
    assert rwejax.load(searched).config == dataclasses.replace(rwejax.load(OLD / "search").config, run_dir=searched)
