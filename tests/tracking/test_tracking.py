import csv
import importlib.util
import signal
import time

import pytest

import rwejax
from rwejax.errors import InputError
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import PARTS, TrainingProgress
from rwejax.storage.trainings import TrainedNetwork
from rwejax.tracking import make_observers
from rwejax.training.config import TrainConfig
from tests import fakes
from tests.tracking import readers

SMALL = TrainConfig(
    architecture="101110", nodes=2, channels=4, batch_size=32, train_images=64, validation_images=50, epochs=2
)
NAMES = {"hypervolume", "best", "evaluations", "evaluations_per_second", "seconds", *(f"seconds/{n}" for n in PARTS)}


@pytest.fixture
def interrupted(monkeypatch, tmp_path):
    """Searches to the third generation of four with some observers, and resumes with others."""
    fake = fakes.use(monkeypatch)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")

    def run(before, after):
        fake.before_call = staticmethod(lambda calls: signal.raise_signal(signal.SIGINT) if calls == 3 else None)
        with pytest.raises(KeyboardInterrupt):
            search(fakes.tiny(run_dir=tmp_path / "run"), before)
        fake.before_call = staticmethod(lambda calls: None)
        time.sleep(1)  # wandb's folders have names by the second
        resume(tmp_path / "run", after)
        with open(tmp_path / "run" / "history.csv", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        return tmp_path / "run", {int(row.pop("generation")): row for row in rows}

    return run


def test_tensorboard_shows_a_resumed_search_once(interrupted):
    class Ahead(rwejax.TensorBoardObserver):
        """Writes a generation that is not on disk yet, as a process may that dies at a bad moment."""

        def close(self):
            self._write(3, {"hypervolume": -1.0})
            super().close()

    run, rows = interrupted([Ahead()], make_observers("tensorboard"))
    found = readers.tensorboard(run)
    assert set(found) == NAMES
    for name in NAMES - {"evaluations_per_second"}:
        column = name.removeprefix("seconds/")
        assert found[name] == pytest.approx({step: row[column] for step, row in rows.items()}, abs=1e-5, rel=1e-5)


def test_trained_networks_follow_the_generations(tmp_path):
    observer, config = rwejax.TensorBoardObserver(), fakes.tiny()
    run = tmp_path / "run"
    run.mkdir()
    observer.on_start(config, run, 3)
    for finished, role in enumerate(("finalist", "random", "finalist"), start=1):
        network = TrainedNetwork("-", 2, 10.0 * finished, 1.0, 1.0, 1.0, 50.0, 10, 10, 1.0, role)
        observer.on_trained(TrainingProgress(network, finished, 0.0))
    observer.close()
    assert readers.tensorboard(run) == {
        "trained_error/finalist": {config.generations + 1: 10.0, config.generations + 3: 30.0},
        "trained_error/random": {config.generations + 2: 20.0},
    }


@pytest.mark.slow
def test_wandb_has_one_run_of_a_resumed_search(interrupted):
    run, rows = interrupted([rwejax.WandbObserver(mode="offline")], [rwejax.WandbObserver(mode="offline")])
    first, second = readers.wandb(run)
    names = [record.run for records in (first, second) for record in records if record.HasField("run")]
    assert len({each.run_id for each in names}) == 1
    assert {each.project for each in names} == {"rwejax"}
    assert {each.display_name for each in names} == {"run"}
    config = {item.key: item.value_json for item in names[0].config.update}
    assert config["population_size"] == "6"
    for records, steps, code in ((first, (1, 2), 1), (second, (3, 4), 0)):
        found = readers.history(records)
        assert tuple(found) == steps
        for step, values in found.items():
            assert set(values) == NAMES
            assert values["hypervolume"] == rows[step]["hypervolume"]
            assert values["seconds/ask"] == pytest.approx(rows[step]["ask"], abs=1e-5)
        assert [record.exit.exit_code for record in records if record.HasField("exit")] == [code]


def test_a_training_is_tracked_with_its_test(tmp_path):
    config = rwejax.TrainConfig(**vars(SMALL) | {"run_dir": tmp_path / "run"})
    result = rwejax.train(config, [rwejax.TensorBoardObserver(), rwejax.WandbObserver(mode="offline")])
    [records] = readers.wandb(tmp_path / "run")
    written = readers.history(records)
    shown = readers.tensorboard(tmp_path / "run")
    for epoch in result.epochs:
        expected = {
            "loss/train": epoch.train_loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/train": epoch.train_accuracy,
            "accuracy/validation": epoch.validation_accuracy,
            "seconds": epoch.seconds,
        }
        if epoch.epoch == 2:
            expected |= {"loss/test": result.test.test_loss, "accuracy/test": result.test.test_accuracy}
        assert written[epoch.epoch] == pytest.approx(expected)
        assert {name: steps[epoch.epoch] for name, steps in shown.items() if epoch.epoch in steps} == (
            pytest.approx(expected)
        )


def test_a_finished_run_that_is_only_read_leaves_no_trace(monkeypatch, tmp_path):
    fakes.use(monkeypatch)
    search(fakes.tiny(run_dir=tmp_path / "run"))
    before = sorted(tmp_path.rglob("*"))
    resume(tmp_path / "run", make_observers("tensorboard,wandb"))
    assert sorted(tmp_path.rglob("*")) == before


def test_wandb_that_cannot_start_is_answered_in_one_sentence(monkeypatch, tmp_path):
    import wandb

    def refuse(**_):
        raise wandb.errors.UsageError("no API key configured")

    fakes.use(monkeypatch)
    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(InputError, match=r"wandb cannot start \(no API key configured\): call `wandb login`, or set"):
        search(fakes.tiny(run_dir=tmp_path / "run"), [rwejax.WandbObserver()])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("tensorbord", "log 'tensorbord' is unknown: choose from tensorboard, wandb"),
        ("wandb,", "log '' is unknown"),
        ("wandb,wandb", "log 'wandb,wandb' names one twice"),
    ],
)
def test_wrong_names_are_answered_in_one_sentence(names, words):
    with pytest.raises(InputError, match=words):
        make_observers(names)


def test_no_name_is_no_observer():
    assert make_observers("") == []


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    with pytest.raises(InputError, match=rf"package '{package}' is missing: pip install 'rwejax\[{name}\]'"):
        make_observers(name)
