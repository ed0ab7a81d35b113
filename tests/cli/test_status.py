"""What a user of `rwejax status` sees, of runs in every state."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rwejax
from rwejax.searching.records import Run
from rwejax.storage.yaml_config import write_config
from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch, Training
from tests import fakes
from tests.cli import commands
from tests.test_loading import contents

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        fakes.use(monkeypatch)
        return rwejax.search(fakes.tiny(run_dir=tmp_path_factory.mktemp("status") / "run"))


@pytest.fixture
def run(searched, tmp_path, monkeypatch):
    """A copy of the run folder, by the path that is typed."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(searched.run_dir, "run"))


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A folder as a training of three epochs leaves it after two."""
    monkeypatch.chdir(tmp_path)
    path = Path("train")
    (path / "checkpoints" / "2").mkdir(parents=True)
    write_config(path / "config.yaml", TrainConfig(architecture="101110", nodes=2, channels=4, epochs=3).resolved())
    (path / "meta.json").write_text(json.dumps({"start_time": "2026-01-01T12:00:00+00:00", "resume_times": ["then"]}))
    epochs = [Epoch(number, 1.5 / number, 60.0 + number, 1.0, 70.0 + number, 30.0) for number in (1, 2)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(vars(epoch)) + "\n" for epoch in epochs))
    return path


@pytest.fixture
def status(monkeypatch, capfd):
    """Runs the command, in whose folders nothing may change; the lines that it prints."""
    call = commands.caller(commands.load("status"), monkeypatch, capfd)

    def lines(*paths):
        before = [contents(path) for path in paths]
        code, out, err = call(*paths)
        assert (code, err) == (0, "")
        assert [contents(path) for path in paths] == before
        return out.splitlines()

    return lines


def facts(lines):
    return dict(line.split(":", 1) for line in lines if line)


def test_a_finished_search(status, run, searched):
    lines = status(run)
    found = {name: text.strip() for name, text in facts(lines).items()}
    objectives = searched.objectives[searched.front]
    assert found["search"] == "macro on digits, nodes 3, channels 4, nsga2"
    assert found["objectives"] == "leave-one-out error (%), multiply-adds (M)"
    assert found["state"] == "finished"
    assert (found["generations"], found["evaluations"]) == ("4 of 4", "24 of 24")
    assert found["front"] == f"{len(searched.front)} networks"
    error, macs = objectives.min(0)
    assert found["best"] == f"leave-one-out error {error:.2f} %, multiply-adds {macs:.3f} M"
    assert found["started"] == json.loads((run / "meta.json").read_text())["start_time"]
    assert lines[0] == "run folder: run"
    assert lines[-1] == "next: python scripts/train.py --run run --pick knee"


def test_a_stopped_search_is_resumed(status, run, monkeypatch, capfd):
    whole = (run / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (run / "evaluations.jsonl").write_bytes(b"".join(whole[:14]) + whole[14][:9])
    for newer in ("3", "4"):
        shutil.rmtree(run / "checkpoints" / newer)
    (run / "checkpoints" / "2").mkdir()
    lines = status(run)
    found = facts(lines)
    assert found["state"].strip() == "not finished, and no process is at work on it"
    assert (found["generations"].strip(), found["evaluations"].strip()) == ("2 of 4", "14 of 24")
    assert "damaged" not in found
    assert lines[-1] == "next: python scripts/search.py --resume run"


def test_a_search_that_has_just_begun(status, run):
    for name in ("meta.json", "evaluations.jsonl", "front.csv"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    found = facts(status(run))
    assert (found["evaluations"].strip(), found["front"].strip()) == ("0 of 24", "0 networks")
    assert "damaged" not in found
    assert "best" not in found


def test_a_run_that_another_process_works_on(status, run):
    with Run.open(run):
        lines = status(run)
    assert facts(lines)["state"].strip() == "another process is at work on it"
    assert re.fullmatch(r"next: .*status(\.py)? run", lines[-1])


def test_damage_is_a_sentence_beside_what_is_whole(status, run):
    lines = (run / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (run / "evaluations.jsonl").write_bytes(b"".join([*lines[:13], b'{"index": 13}\n', *lines[14:]]))
    (run / "meta.json").write_text("{")
    printed = status(run)
    damaged = [line for line in printed if line.startswith("damaged: ")]
    assert "line 14 of 'run/evaluations.jsonl' is broken" in damaged[0]
    assert "meta.json in run folder 'run' is broken" in damaged[1]
    assert facts(printed)["evaluations"].strip() == "13 of 24"
    assert not printed[-1].startswith("next: ")


def test_missing_checkpoints_are_damage_of_what_is_not_finished(status, run, training):
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(training / "checkpoints")
    assert "damaged" not in facts(status(run))
    lines = (run / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (run / "evaluations.jsonl").write_bytes(b"".join(lines[:12]))
    assert "12 evaluations and no checkpoint of 6 each" in facts(status(run))["damaged"]
    assert "there are 2 epochs and no checkpoint" in facts(status(training))["damaged"]


def test_a_training_on_its_way_and_at_its_end(status, training):
    lines = status(training)
    found = {name: text.strip() for name, text in facts(lines).items()}
    assert found["training"] == "macro on digits, nodes 2, channels 4"
    assert (found["architecture"], found["epochs"]) == ("101110", "2 of 3")
    assert found["last epoch"] == "loss 0.7500, train 62.0 %, validation 72.0 %"
    assert (found["started"], found["resumed"], found["took"]) == ("2026-01-01T12:00:00+00:00", "then", "1 min 00 s")
    assert lines[-1] == "next: python scripts/train.py --resume train"
    with Training.open(training):
        assert facts(status(training))["state"].strip() == "another process is at work on it"
    (training / "result.json").write_text('{"test_loss": 0.1, "test_accuracy": 91.25, "test_images": 359}\n')
    lines = status(training)
    assert facts(lines)["test accuracy"].strip() == "91.25 % of 359 images"
    assert lines[-1] == "next: python scripts/export.py train exported/train"


def test_several_runs_stand_below_each_other(status, run, training):
    lines = status(run, training)
    assert [line for line in lines if line.startswith("run folder: ")] == ["run folder: run", "run folder: train"]


def test_a_broken_config_is_damage_and_no_run_an_error(status, run, monkeypatch, capfd):
    (run / "config.yaml").write_text("colour: red\n")
    (run / "evaluations.jsonl").unlink()
    assert status(run)[1].startswith("damaged: config file 'run/config.yaml' has the unknown key 'colour'")
    call = commands.caller(commands.load("status"), monkeypatch, capfd)
    for words, sentence in (((), "no run is named"), (("nowhere",), "run folder 'nowhere' does not exist")):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert sentence in err


def test_jax_is_not_started(run, training):
    script = "import sys; from rwejax.cli.main import main; main(sys.argv[1:]); sys.exit('jax' in sys.modules)"
    words = [sys.executable, "-c", script, "status", str(run), str(training)]
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "epochs:" in done.stdout
