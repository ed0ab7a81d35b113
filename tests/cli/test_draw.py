"""What a user of rwejax draw sees."""

import csv

import pytest

import rwejax
from rwejax.training.config import TrainConfig
from rwejax.training.records import Training
from tests import fakes
from tests.cli import commands

NETWORK = "--architecture macro:2:11-10-11 --nodes 2 --channels 2 --image-shape 16 16 3"


@pytest.fixture
def main(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    return commands.caller(commands.load("draw"), monkeypatch, capfd)


def test_networks_of_a_search_a_training_and_a_text(main, tmp_path, monkeypatch):
    pytest.importorskip("fast_sugiyama", reason="the extra draw is not installed")
    with monkeypatch.context() as patched:
        fakes.use(patched)
        found = rwejax.search(fakes.tiny(run_dir=tmp_path / "found"))
    with open("found/front.csv") as file:
        front = [row["architecture"] for row in csv.DictReader(file)]
    config = TrainConfig(architecture=front[1], nodes=3, channels=4, run_dir=tmp_path / "trained")
    with Training.create(config) as run:
        run.write_meta({"image_shape": [16, 16, 1], "classes": 10})

    assert main("found", "--pick", "2")[:2] == (0, "drawn to runs/draw-macro.svg\n")
    assert main("trained")[:2] == (0, "drawn to runs/draw-macro-2.svg\n")
    assert main(*NETWORK.split(), "--output", "text.svg")[:2] == (0, "drawn to text.svg\n")

    assert found.evaluations[rwejax.pick(found, "2")].architecture == front[1]
    drawn, again, other = (tmp_path / each for each in ("runs/draw-macro.svg", "runs/draw-macro-2.svg", "text.svg"))
    assert f"<!-- {front[1]} -->" in drawn.read_text()
    assert again.read_text() == drawn.read_text()
    assert "<!-- macro:2:11-10-11 -->" in other.read_text()


BAD = [
    ("no network", "", "no network is named: give the run folder"),
    ("missing run", "nowhere", "run folder 'nowhere' does not exist"),
    ("two networks", f"run {NETWORK}", "run 'run' has a network of its own"),
    ("another space's text", "--space micro --architecture 3,1", "architecture '3,1' is none of micro"),
    ("a size of another space", f"{NETWORK} --layers 3", "has no option 'layers'"),
    ("a file that exists", f"{NETWORK} --output run", "output 'run' exists"),
    ("a file in a file", f"{NETWORK} --output text/drawing.svg", "cannot be written"),
]


@pytest.mark.parametrize(("words", "answer"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_answered_in_one_sentence(main, tmp_path, words, answer):
    pytest.importorskip("fast_sugiyama", reason="the extra draw is not installed")
    (tmp_path / "run").mkdir()
    (tmp_path / "text").touch()
    code, out, err = main(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert answer in err


def test_the_missing_extra_is_named(main, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = main(*NETWORK.split())
    assert code == 2
    assert err == "error: a drawing needs fast-sugiyama, which is not installed: pip install 'rwejax[draw]'\n"
