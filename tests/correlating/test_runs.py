"""Searches against a truth: run folders are written by hand, so that their objectives are known."""

import csv
import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

import rwejax
from rwejax import CorrelateRunsConfig, SearchConfig, spaces
from rwejax.correlating.plot import plot_generations
from rwejax.errors import InputError
from rwejax.objectives import RWE_SCORES
from rwejax.searching.records import Evaluation, Run
from tests.cli import commands

SCRIPT = Path(__file__).parents[2] / "scripts" / "correlate_runs.py"
SPACE = spaces.get("macro", nodes=3)
SIZE = 8


def write_run(folder, generations, seed, nodes=3):
    """A run of random canonical genomes, whose errors are those of the worth below with noise."""
    space = spaces.get("macro", nodes=nodes)
    drawn = space.sample(jax.random.key(seed), SIZE * generations)
    genomes = np.asarray(space.canonical(np.asarray(drawn)))
    errors = 50 - worth(genomes) + np.random.default_rng(seed).normal(size=len(genomes))
    evaluations = [
        Evaluation(
            row, row // SIZE + 1, space.to_string(genome), (error, 1.0), dict.fromkeys(RWE_SCORES, error), 1, 1, 0, 1.0
        )
        for row, (genome, error) in enumerate(zip(genomes, errors.tolist(), strict=True))
    ]
    with Run.create(SearchConfig(nodes=nodes, population_size=SIZE, estimator="rwe", run_dir=folder)) as run:
        run.append([evaluation.to_json() for evaluation in evaluations])
    return genomes, errors


def worth(genomes):
    return genomes @ np.linspace(1, 2, genomes.shape[1])


def write_truth(path, genomes):
    rows = [(SPACE.to_string(genome), value) for genome, value in zip(genomes, worth(genomes), strict=True)]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("architecture", "accuracy"), *rows])


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [write_run(Path("a"), 4, 0), write_run(Path("b"), 3, 1)]
    write_truth("truth.csv", np.concatenate([genomes for genomes, _ in found]))
    return found


def config(**changes):
    return CorrelateRunsConfig(**{"run": "a,b", "truth": Path("truth.csv"), "column": "accuracy"} | changes)


def test_each_generation_has_its_correlation(runs):
    result = rwejax.correlate_runs(config())
    expected = np.full((2, 4), np.nan)
    for row, (genomes, errors) in enumerate(runs):
        for generation in range(len(genomes) // SIZE):
            part = slice(generation * SIZE, (generation + 1) * SIZE)
            expected[row, generation] = stats.spearmanr(-errors[part], worth(genomes[part])).statistic
    np.testing.assert_allclose(result.spearman, expected)
    np.testing.assert_array_equal(result.evaluated, [[8, 8, 8, 8], [8, 8, 8, 0]])
    np.testing.assert_array_equal(result.known, result.evaluated)
    np.testing.assert_allclose(result.mean, [*expected[:, :3].mean(0), expected[0, 3]])
    np.testing.assert_allclose(result.std, [*expected[:, :3].std(0), 0])
    with open("runs/correlate-runs-macro-accuracy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["generation"]) for row in rows[3:5]] == [("a", "4"), ("b", "1")]
    assert float(rows[0]["spearman"]) == result.spearman[0, 0]
    assert rows[-1] == {"run": "b", "generation": "4", "evaluated": "0", "known": "0", "spearman": ""}
    assert Path("runs/correlate-runs-macro-accuracy.png").exists()


def test_genomes_without_truth_are_left_out_and_counted(runs):
    genomes, errors = runs[0]
    write_truth("truth.csv", genomes[[0, 1, 2, 3, 8, 9]])
    result = rwejax.correlate_runs(config(run="a"))
    known = [[any((genome == genomes[row]).all() for row in (0, 1, 2, 3, 8, 9)) for genome in genomes]]
    np.testing.assert_array_equal(result.known, np.array(known).reshape(1, 4, SIZE).sum(-1))
    first = np.flatnonzero(known[0][:SIZE])
    expected = stats.spearmanr(-errors[first], worth(genomes[first])).statistic
    assert result.spearman[0, 0] == pytest.approx(expected)
    np.testing.assert_array_equal(np.isnan(result.spearman), result.known < 3)


def test_truth_is_the_mean_of_all_texts_of_a_network(runs):
    genomes, errors = runs[0]
    every = np.array([[code >> bit & 1 for bit in range(12)] for code in range(4096)], np.int32)
    canonical = np.asarray(SPACE.canonical(every))
    accuracies = np.random.default_rng(0).normal(size=4096)
    with open("truth.csv", "w", newline="") as file:
        texts = map(SPACE.to_string, every)
        csv.writer(file).writerows([("architecture", "accuracy"), *zip(texts, accuracies, strict=True)])
    means = [accuracies[(canonical == genome).all(1)].mean() for genome in genomes[:SIZE]]
    result = rwejax.correlate_runs(config(run="a"))
    assert result.spearman[0, 0] == pytest.approx(stats.spearmanr(-errors[:SIZE], means).statistic)


def test_a_figure_shows_mean_and_band():
    result = rwejax.correlate_runs(config())
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plot_generations(result, axes)
    figure.canvas.draw()
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([np.arange(1, 5), result.mean], 1))
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx((result.mean + result.std).max())
    assert axes.get_title(loc="left") == "macro, 2 runs, 100 % of genomes known"
    assert axes.get_ylabel() == "Spearman with accuracy"


def test_a_figure_of_vectors():
    output = rwejax.correlate_runs(config(figure_format="svg")).output
    assert "<svg" in output.with_suffix(".svg").read_text()
    with pytest.raises(InputError, match="figure_format 'gif' is unknown: choose png or svg"):
        rwejax.correlate_runs(config(figure_format="gif"))


def test_nothing_is_overwritten():
    outputs = [rwejax.correlate_runs(config()).output.name for _ in range(2)]
    assert outputs == ["correlate-runs-macro-accuracy.csv", "correlate-runs-macro-accuracy-2.csv"]
    Path("mine.png").touch()
    with pytest.raises(InputError, match=r"output 'mine\.png' exists"):
        rwejax.correlate_runs(config(output=Path("mine.csv")))


@pytest.fixture(scope="module")
def script():
    return commands.load("correlate_runs")


@pytest.fixture
def main(script, monkeypatch, capfd):
    return commands.caller(script, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--run a --truth truth.csv", "--column"),
        ("--run , --truth truth.csv --column accuracy", "run is ','"),
        ("--run a,nowhere --truth truth.csv --column accuracy", "run folder 'nowhere' does not exist"),
        ("--run a,other --truth truth.csv --column accuracy", "run 'other' has another space or number of nodes"),
        ("--run a --truth nowhere.csv --column accuracy", "truth 'nowhere.csv' does not exist"),
        ("--run a --truth truth.csv --column acuracy", "has no column 'acuracy'"),
        ("--run a --truth foreign.csv --column accuracy", "has none of the 32 genomes"),
        ("--run a --truth truth.csv --column accuracy --output truth.csv", "output 'truth.csv' exists"),
        ("--run a --truth truth.csv --column accuracy --output truth.csv/a.csv", "cannot be written"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(main, tmp_path, runs, flags, words):
    write_run(Path("other"), 1, 0, nodes=4)
    evaluated = {genome.tobytes() for genome in runs[0][0]}
    drawn = SPACE.canonical(np.asarray(SPACE.sample(jax.random.key(9), 50)))
    write_truth("foreign.csv", np.array([genome for genome in drawn if genome.tobytes() not in evaluated]))
    before = sorted(tmp_path.rglob("*"))
    code, out, err = main(*shlex.split(flags))
    assert (code, out) == (2, "")
    assert words in re.sub(r"[\s│]+", " ", err)
    if not err.startswith("╭"):  # tyro's own box
        assert re.fullmatch(r"error: [^\n]+\n", err)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_prints_its_table(main, runs):
    write_truth("truth.csv", runs[0][0])
    code, out, err = main(*shlex.split("--run a,b --truth truth.csv --column accuracy --output out.csv"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].strip() == "accuracy in 2 runs of macro"
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "3", "4"]
    assert re.fullmatch(r"\d+ of 56 genomes are not in the table and were left out", lines[6])
    assert lines[-2:] == ["table: out.csv", "figure: out.png"]
