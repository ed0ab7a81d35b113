"""What a user of scripts/train.py sees."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import rwejax
from rwejax.searching.config import SearchConfig
from rwejax.storage.yaml_config import read_config
from rwejax.training.config import TrainConfig
from tests import fakes
from tests.cli import commands

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("train_*.yaml"))


@pytest.fixture
def main(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("rwejax.runtime.devices.use_all_cores", lambda: None)  # only at the start of a process
    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: False)
    monkeypatch.chdir(tmp_path)
    return commands.caller(commands.load("train"), monkeypatch, capfd)


def test_a_picked_network_is_trained_taken_up_again_and_exported(main, monkeypatch, tmp_path, capfd):
    with monkeypatch.context() as patched:
        fakes.use(patched)
        config = SearchConfig(
            nodes=2,
            channels=4,
            population_size=4,
            generations=2,
            estimator="rwe",
            training_minutes=0,
            run_dir=Path("found"),
        )
        found = rwejax.search(config)

    tiny = "--train-images 128 --validation-images 20 --epochs 2"
    code, out, _ = main(*f"--run found --pick error {tiny} --run-dir trained --log tensorboard".split())

    assert code == 0
    assert "training a macro network of" in out
    assert "epoch 2/2  " in out
    stored = read_config(tmp_path / "trained" / "config.yaml", TrainConfig())
    assert stored.architecture == found.evaluations[rwejax.pick(found, "error")].architecture
    assert (stored.nodes, stored.channels, stored.epochs) == (2, 4, 2)
    accuracy = json.loads((tmp_path / "trained" / "result.json").read_text())["test_accuracy"]
    assert f"test accuracy: {accuracy:.2f} % of 359 images" in out
    assert out.splitlines()[-1] == "next: python scripts/export.py trained exported/trained"
    assert {path.name for path in (tmp_path / "trained").iterdir()} >= {"curve.png", "meta.json", "metrics.jsonl"}
    assert len(list((tmp_path / "trained" / "tensorboard").iterdir())) == 1

    code, out, _ = main("--resume", "trained")
    assert code == 0
    assert f"test accuracy: {accuracy:.2f} %" in out
    assert "epoch" not in out

    export = commands.caller(commands.load("export"), monkeypatch, capfd)
    for run, words in (("trained", f"test accuracy (%): {accuracy:.4g}"), ("found", "epochs: 0")):
        code, out, _ = export(run, f"exported-{run}", "--pick", "error")
        assert code == 0
        assert words in out
        assert out.splitlines()[-1] == f"next: read exported-{run}/README.md, which says how to use it"
        card = json.loads((tmp_path / f"exported-{run}" / "card.json").read_text())
        assert card["architecture"] == stored.architecture
        assert card["objectives"]["macs"] == card["macs"]
        assert card["provenance"]["pick"] == "error"
    code, _, err = export("trained", "exported-trained")
    assert code == 2
    assert "is not empty" in err

    predict = commands.caller(commands.load("predict"), monkeypatch, capfd)
    Image.fromarray(np.uint8(load_digits().images[7] * 15)).save("seven.png")
    code, out, _ = predict("exported-trained", "seven.png")
    assert code == 0
    assert re.fullmatch(r"seven\.png  \d [01]\.\d\d\n", out)
    assert predict("trained", "seven.png")[:2] == (0, out)


BAD = [
    ("nothing to train", "--epochs 2", "no architecture is named"),
    ("another space's text", "--architecture 3,1", "architecture '3,1' is none of macro"),
    ("missing search", "--run nowhere", "run folder 'nowhere' does not exist"),
    ("a training as search", "--run trained", "unknown key 'architecture'"),
    ("unknown pick", "--run search --pick best", "the front is empty"),
    ("missing config", "--config nowhere.yaml", "config file 'nowhere.yaml' does not exist"),
    ("a search's key", "--config search.yaml", "unknown key 'generations'"),
    ("a word for a number", "--config words.yaml", "learning_rate: 'high', which should be a number"),
    ("another epoch count", "--resume trained --epochs 9", "was started with --epochs 2"),
    ("unknown log", "--architecture macro:2:11-10-11 --nodes 2 --log wandbb", "log 'wandbb' is unknown"),
    ("a search to resume", "--resume search", "unknown key 'generations'"),
    ("unprepared set offline", "--architecture 111011 --nodes 2 --dataset cifar10 --data-dir empty", "cifar10"),
    ("full run folder", "--architecture 111011 --nodes 2 --run-dir trained", "run_dir 'trained' is not empty"),
]


@pytest.mark.parametrize(("flags", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_answered_in_one_sentence(main, tmp_path, flags, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "search.yaml").write_text("generations: 3\n")
    (tmp_path / "words.yaml").write_text("learning_rate: high\n")
    for name, text in (
        ("search", "space: macro\ngenerations: 2\n"),
        ("trained", "architecture: '111011'\nepochs: 2\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)

    code, out, err = main(*flags.split())

    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert words in err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_its_command_and_is_valid(path):
    assert f"--config {path.stem}" in path.read_text()
    config = read_config(path, TrainConfig(architecture="1"))
    config.validate()
