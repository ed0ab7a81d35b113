"""What a user of `rwejax compare` sees."""

import csv

import pytest
from PIL import Image

import rwejax
from tests.cli import commands
from tests.test_comparing import train_front, write_run


@pytest.fixture
def main(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    return commands.caller(commands.load("compare"), monkeypatch, capfd)


def test_a_table_a_figure_and_what_is_on_the_screen(main, tmp_path):
    runs = [
        write_run(tmp_path / f"{name}-{seed}", seed, algorithm=name) for name in ("nsga2", "random") for seed in (0, 1)
    ]
    code, out, err = main(*runs, "--output", "new/mine.csv")
    assert (code, err) == (0, "")
    comparison = rwejax.load_many(runs)
    with open("new/mine.csv", newline="") as file:
        rows = [
            (row["group"], *(float(row[name]) for name in ("evaluations", "mean", "std", "runs")))
            for row in csv.DictReader(file)
        ]
    assert rows == list(comparison.rows())
    with Image.open("new/mine.png") as image:
        assert image.width > 2000
    lines = out.splitlines()
    assert lines[0] == "hypervolume up to leave-one-out error 100.00 %, multiply-adds 10.000 M"
    assert lines[-2:] == ["table: new/mine.csv", "figure: new/mine.png"]
    for group in comparison.groups:
        words = next(line for line in lines if line.startswith(group.label)).split()
        assert words[2:5] == ["2", "24", f"{group.mean[-1]:.5g}"]


def test_trained_errors_stand_beside_hypervolumes(main, tmp_path):
    runs = [
        write_run(tmp_path / f"{name}-{seed}", seed, algorithm=name) for name in ("nsga2", "random") for seed in (0, 1)
    ]
    assert "trained" not in main(*runs)[1]
    assert len(train_front(runs[0], (20.0, 60.0))) >= 3
    train_front(runs[1], (22.0, 10.0))
    lines = main(*runs)[1].splitlines()
    nsga2, random = (
        next(line for line in lines if line.startswith(f"algorithm {name}")) for name in ("nsga2", "random")
    )
    assert nsga2.split()[-7:] == ["2", "20.0", "to", "22.0", "1", "of", "2"]
    assert len(random.split()) < len(nsga2.split()) - 6


def test_a_figure_of_vectors(main, tmp_path):
    run = write_run(tmp_path / "run", generations=1)
    code, out, err = main(run, "--output", "mine.csv", "--figure-format", "svg")
    assert (code, err) == (0, "")
    assert out.endswith("figure: mine.svg\n")
    assert "<svg" in (tmp_path / "mine.svg").read_text()
    assert main(run, "--figure-format", "gif")[1:] == (
        "",
        "error: figure_format 'gif' is unknown: choose png or svg\n",
    )


def test_nothing_is_overwritten(main, tmp_path):
    run = write_run(tmp_path / "run", generations=1)
    for name in ("compare-macro-digits", "compare-macro-digits-2"):
        assert main(run)[0] == 0
        assert (tmp_path / "runs" / f"{name}.csv").exists()
    (tmp_path / "mine.png").write_text("mine")
    code, _, err = main(run, "--output", "mine.csv")
    assert (code, err) == (2, "error: output 'mine.png' exists: give another file with --output\n")
    assert not (tmp_path / "mine.csv").exists()


@pytest.mark.parametrize(("words", "sentence"), [([], "no runs are named"), (["nowhere"], "'nowhere' does not exist")])
def test_bad_input_is_answered_in_one_sentence(main, words, sentence):
    code, out, err = main(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
