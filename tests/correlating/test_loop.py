"""The library function and the command, on networks small enough to compile in seconds."""

import csv
import re
import shlex
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

import rwejax
from rwejax import CorrelateConfig, spaces
from rwejax.correlating import console, loop, statistics
from rwejax.correlating.plot import plot_macs, plot_scores
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from tests.cli import commands

SCRIPT = Path(__file__).parents[2] / "scripts" / "correlate.py"
SIZES = {"channels": 4, "cells": 1, "image_size": 8, "images": 60}
TINY = "--space nasbench201 --truth truth.csv --column accuracy --channels 4 --cells 1 --image-size 8 --images 60"
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def write_truth(path, n=12, dead=True):
    space = spaces.get("nasbench201")
    genomes = np.asarray(space.sample(jax.random.key(0), n))
    texts = [space.to_string(genome) for genome in genomes]
    if dead:
        texts[0] = DEAD
    accuracies = 80 + np.random.default_rng(0).permutation(n) / 2
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("architecture", "accuracy"), *zip(texts, accuracies, strict=True)])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_truth("truth.csv")
    return tmp_path


@pytest.fixture
def fake(monkeypatch):
    """Puts functions in the place of estimators; each is given the genomes, and whatever it returns is the scores."""

    def use(**functions):
        def get(name, space, dataset, **options):
            return lambda key, genomes: functions[name](genomes)

        monkeypatch.setattr(loop.estimators, "get", get)
        monkeypatch.setattr(loop.estimators, "names", lambda: tuple(functions))
        monkeypatch.setattr(loop.estimators, "options_of", lambda name: ("seeds",))

    return use


def config(**changes):
    return CorrelateConfig("nasbench201", Path("truth.csv"), "accuracy", **SIZES | changes)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_estimators_get_what_they_get_alone():
    """The real ones, of each kind: sizes, one batch, a head."""
    names = ["macs", "params", "nwot", "rwe"]
    result = rwejax.correlate(config(estimator=",".join(names), output=Path("out/table.csv")))
    assert [measured.estimator for measured in result.measured] == names
    dataset = rwejax.data.load("digits", train=60, validation=60, image_size=8)
    heads = rwejax.data.load("digits", train=40, validation=20, image_size=8)
    space = spaces.get("nasbench201", channels=4, cells=1, input_shape=dataset.image_shape, classes=dataset.classes)
    genomes = np.stack([space.from_string(text) for text in result.texts])
    assert len(set(result.texts)) > 8
    for measured in result.measured:
        options = {"images": 60} if measured.estimator == "nwot" else {}
        images = heads if measured.estimator == "rwe" else dataset
        expected = estimators.get(measured.estimator, space, images, **options)(jax.random.key(0), genomes)
        np.testing.assert_allclose(measured.scores, expected, rtol=1e-3)
        assert measured.correlation == pytest.approx(
            statistics.measure(measured.scores, result.values, result.macs), nan_ok=True
        )
        assert measured.seconds > 0
    assert result.measured[2].dead >= 1
    assert result.measured[2].scores[result.texts.index(DEAD)] == -np.inf

    rows = read("out/table.csv")
    assert [row["estimator"] for row in rows] == names
    assert rows[0]["partial"] == "", "what is undefined is empty"
    for row, measured in zip(rows, result.measured, strict=True):
        assert float(row["spearman"]) == measured.correlation.spearman
        assert (row["n"], row["space"], row["channels"], row["cells"]) == ("12", "nasbench201", "4", "1")
        assert (row["dataset"], row["image_size"], row["images"], row["layers"]) == ("digits", "8", "60", "")
    scores = read("out/table.scores.csv")
    assert [row["architecture"] for row in scores] == list(result.texts)
    for measured in result.measured:
        assert [float(row[measured.estimator]) for row in scores] == measured.scores.tolist()
    files = ["table.csv", "table.scores.csv", *(f"table-{name}.png" for name in names)]
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(files)


def test_the_options_reach_the_estimators(monkeypatch):
    seen = {}

    def get(name, space, dataset, **options):
        seen[name] = options, len(dataset.train_images), len(dataset.validation_images), space.layers
        return lambda key, genomes: genomes[:, 0].astype(float)

    def together(names, *given, **options):
        estimates = {name: get(name, *given, **options) for name in names}
        return lambda key, genomes: {name: estimate(key, genomes) for name, estimate in estimates.items()}

    monkeypatch.setattr(loop.estimators, "get", get)
    monkeypatch.setattr(loop.estimators, "together", together)
    text = spaces.get("micro").to_string(np.zeros(40, int))
    Path("micro.csv").write_text("genome,space,macs\n" + f"{text},micro,1\n" * 3)
    settings = {"layers": 3, "channels": 2, "estimator": "rwe,rwe_softmax,nwot,macs"}
    result = rwejax.correlate(CorrelateConfig("micro", Path("micro.csv"), "macs", images=30, seeds=2, **settings))
    assert [each.together for each in result.measured] == [2, 2, 1, 1]
    assert seen == {
        "rwe": ({"seeds": 2}, 20, 10, 3),
        "rwe_softmax": ({"seeds": 2}, 20, 10, 3),
        "nwot": ({"seeds": 2, "images": 30}, 30, 30, 3),
        "macs": ({}, 30, 30, 3),
    }
    result = rwejax.correlate(CorrelateConfig("micro", Path("micro.csv"), "macs", **settings))
    assert [each.together for each in result.measured] == [3, 3, 3, 1]
    assert rwejax.load(result.output).measured[0].together == 3
    assert seen["rwe"] == ({"seeds": 1}, 500, 250, 3)
    assert seen["nwot"] == ({"seeds": 1}, 500, 250, 3)


@pytest.mark.parametrize("n", [3, 12, 101])
def test_every_network_is_scored_once_in_slices(fake, n):
    write_truth("truth.csv", n)
    calls = []
    fake(first=lambda genomes: calls.append(genomes) or genomes.sum(1))

    class Watch(rwejax.CorrelateObserver):
        seen = ()
        told = ()

        def on_estimator(self, result):
            self.told += (len(result.measured),)

        def on_end(self, result):
            self.told += (result,)

        def close(self):
            self.told += ("close",)

        def on_slice(self, estimator, networks):
            self.seen += ((estimator, networks),)

    watch = Watch()
    result = rwejax.correlate(config(estimator="first", sample=200), [rwejax.CorrelateObserver(), watch])
    assert watch.told == (1, result, "close")
    assert len(calls) == max(2, -(-n // 40))
    assert max(map(len, calls)) == len(calls[0]) <= 40, "what is compiled for the first slice holds the others"
    space = result.space
    genomes = np.stack([space.from_string(text) for text in result.texts])
    np.testing.assert_array_equal(np.concatenate(calls), space.canonical(genomes))
    np.testing.assert_array_equal(result.measured[0].scores, space.canonical(genomes).sum(1))
    assert watch.seen[0] == ("first", 0)
    assert watch.seen[-1] == ("first", n)
    assert (result.available, len(result.values)) == (n, n)


def test_a_nan_is_a_dead_network(fake):
    fake(broken=lambda genomes: np.where(genomes[:, 0] > 1, np.nan, 1.0))
    measured = rwejax.correlate(config(estimator="broken")).measured[0]
    assert measured.dead == np.isinf(measured.scores).sum() > 0
    assert "-inf" in Path("runs/correlate-nasbench201-accuracy.scores.csv").read_text()


def test_an_estimator_that_calls_all_dead_has_no_correlation(fake):
    fake(pessimist=lambda genomes: np.full(len(genomes), -np.inf))
    result = rwejax.correlate(config(estimator="pessimist"))
    assert result.measured[0].dead == 12
    assert read(result.output)[0]["spearman"] == ""
    assert Path("runs/correlate-nasbench201-accuracy-pessimist.png").exists()


def test_an_interruption_keeps_what_is_finished(fake):
    def stop(genomes):
        raise KeyboardInterrupt

    class Watch(rwejax.CorrelateObserver):
        closed = 0

        def on_end(self, result):
            pytest.fail("it has not come to its end")

        def close(self):
            self.closed += 1

    watch = Watch()
    fake(first=lambda genomes: genomes.sum(1), second=stop)
    with pytest.raises(KeyboardInterrupt):
        rwejax.correlate(config(estimator="first,second", output=Path("table.csv")), [watch])
    assert watch.closed == 1
    assert [row["estimator"] for row in read("table.csv")] == ["first"]
    assert list(read("table.scores.csv")[0]) == ["architecture", "accuracy", "first"]
    assert Path("table-first.png").exists()
    with pytest.raises(KeyboardInterrupt):
        rwejax.correlate(config(estimator="second", output=Path("other.csv")))
    assert not list(Path().glob("other*")), "nothing was measured, so nothing is left"


def test_default_outputs_are_numbered(fake):
    fake(first=lambda genomes: genomes.sum(1))
    outputs = [rwejax.correlate(config(estimator="first")).output.name for _ in range(3)]
    name = "correlate-nasbench201-accuracy"
    assert outputs == [f"{name}.csv", f"{name}-2.csv", f"{name}-3.csv"]


@pytest.mark.parametrize("existing", ["table.csv", "table.scores.csv", "table-first.png"])
def test_nothing_is_overwritten(fake, existing):
    fake(first=lambda genomes: genomes.sum(1))
    Path(existing).write_text("mine")
    with pytest.raises(InputError, match=re.escape(f"output '{existing}' exists")):
        rwejax.correlate(config(estimator="first", output=Path("table.csv")))
    assert Path(existing).read_text() == "mine"


def test_the_same_config_gives_the_same():
    results = [rwejax.correlate(config(estimator="macs,params", seed=3)) for _ in range(2)]
    assert results[0].texts == results[1].texts
    np.testing.assert_equal(results[0].measured[1].correlation, results[1].measured[1].correlation)
    other = rwejax.correlate(config(estimator="macs", seed=4))
    assert set(other.texts) == set(results[0].texts)
    assert other.texts != results[0].texts


def test_a_figure_shows_the_living(fake):
    fake(first=lambda genomes: np.where(genomes.any(1), genomes.sum(1), -np.inf))
    result = rwejax.correlate(config(estimator="first"))
    measured = result.measured[0]
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plot_scores(result, measured, axes)
    figure.canvas.draw()
    alive = np.isfinite(measured.scores)
    shown = axes.collections[0]
    np.testing.assert_array_equal(shown.get_offsets(), np.stack([measured.scores, result.values], 1)[alive])
    np.testing.assert_array_equal(shown.get_array(), result.macs[alive] / 1e6)
    assert axes.get_xlabel() == f"first, higher is better, {measured.dead} dead networks not shown"
    assert axes.get_ylabel() == "accuracy, higher is better"
    assert re.fullmatch(
        r"nasbench201, first on digits, Spearman -?\d\.\d\d \(-?\d\.\d\d to -?\d\.\d\d\)", axes.get_title(loc="left")
    )
    baseline = Figure().add_subplot()
    plot_macs(result, baseline)
    np.testing.assert_array_equal(baseline.collections[0].get_offsets()[:, 0], result.macs / 1e6)
    spearman = stats.spearmanr(result.macs, result.values).statistic
    assert baseline.get_title(loc="left") == f"baseline: multiply-adds alone, Spearman {spearman:.2f}"


def test_figures_are_of_the_format_that_was_asked_for(fake, tmp_path):
    fake(first=lambda genomes: genomes.sum(1).astype(float))
    rwejax.correlate(config(estimator="first", output=tmp_path / "table.csv", figure_format="svg"))
    assert "<svg" in (tmp_path / "table-first.svg").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.png"))
    with pytest.raises(InputError, match="figure_format 'gif' is unknown: choose png or svg"):
        rwejax.correlate(config(figure_format="gif"))


@pytest.fixture(scope="module")
def script():
    return commands.load("correlate")


@pytest.fixture
def main(script, monkeypatch, capfd):
    """Runs the script in this process: exit code, standard output and standard error."""
    return commands.caller(script, monkeypatch, capfd)


BAD = [
    ("--space nasbench201 --truth truth.csv", "--column"),
    (f"{TINY} --space nasbench", "space 'nasbench' is unknown"),
    (f"{TINY} --truth nowhere.csv", "truth 'nowhere.csv' does not exist"),
    (f"{TINY} --truth empty.csv", "truth 'empty.csv' is empty"),
    (f"{TINY} --truth broken.csv", "line 2 of truth 'broken.csv'"),
    (f"{TINY} --column acuracy", "has no column 'acuracy': it has accuracy"),
    (f"{TINY} --truth few.csv", "truth 'few.csv' has 2 networks"),
    (f"{TINY} --estimators macs,rve", "estimator 'rve' is unknown"),
    (f"{TINY} --estimators ,", "estimator is ','"),
    (f"{TINY} --sample 2", "sample is 2"),
    (f"{TINY} --sample 0", "sample is 0"),
    (f"{TINY} --seeds 0", "seeds is 0"),
    (f"{TINY} --seed -1", "seed is -1"),
    (f"{TINY} --nodes 4", "space 'nasbench201' has no option 'nodes'"),
    (f"{TINY} --image-size 10", "images are 10 x 10 pixels"),
    (f"{TINY} --images 5", "ask for at least 10"),
    (f"{TINY} --images 5000", "ask for fewer"),
    (f"{TINY} --dataset folder:nowhere", "'folder:nowhere' does not exist"),
    (f"{TINY} --output truth.csv", "output 'truth.csv' exists"),
    (f"{TINY} --output truth.csv/table.csv", "output 'truth.csv/table.csv' cannot be written"),
]


@pytest.mark.parametrize(("flags", "words"), BAD)
def test_bad_input_is_answered_in_one_sentence(main, folder, flags, words):
    Path("empty.csv").touch()
    Path("broken.csv").write_text("architecture,accuracy\n,1\n|none~0|,2\n")
    Path("few.csv").write_text(f"architecture,accuracy\n{DEAD},1\n{DEAD},2\n")
    before = sorted(folder.rglob("*"))
    code, out, err = main(*shlex.split(flags))
    assert (code, out) == (2, "")
    assert words in re.sub(r"[\s│]+", " ", err)
    assert "Traceback" not in err
    if not err.startswith("╭"):  # tyro's own box
        assert re.fullmatch(r"error: [^\n]+\n", err)
    assert [path for path in sorted(folder.rglob("*")) if "cache" not in path.parts] == before


def test_the_command_prints_its_progress_and_its_table(main):
    code, out, err = main(*shlex.split(f"{TINY} --estimator macs,params --output my-table.csv"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "correlating macs, params on digits with accuracy of 12 nasbench201 networks"
    assert lines[1] == "the table has only 12 networks of the 100 asked for: all are taken"
    assert re.fullmatch(r"macs: Spearman -?\d\.\d\d \(.* to .*\), \S+ s a network, and [\d.]+ s to compile", lines[2])
    rows = read("my-table.csv")
    for row in rows:
        line = next(line for line in lines[4:] if line.startswith(row["estimator"]))
        assert line.split()[1] == f"{float(row['spearman']):.2f}"
        assert line.split()[5] == f"{float(row['kendall']):.2f}"
    macs = next(line for line in lines[4:] if line.startswith("macs"))
    assert macs.split()[6] == "-", "what is undefined is a dash"
    assert lines[-2:] == ["table: my-table.csv", "scores: my-table.scores.csv"]


def test_the_search_by_what_ranks_best_comes_next(main, fake):
    write_truth("truth.csv", dead=False)
    space = spaces.get("nasbench201")
    genomes = space.canonical(np.stack([space.from_string(row["architecture"]) for row in read("truth.csv")]))
    known = {genome.tobytes(): float(row["accuracy"]) for genome, row in zip(genomes, read("truth.csv"), strict=True)}

    def truth(genomes):
        return np.array([known[genome.tobytes()] for genome in genomes])

    fake(macs=truth, noise=lambda genomes: genomes[:, 0] % 2, good=truth, worse=lambda genomes: -truth(genomes))
    flags = f"{TINY} --output new.csv --estimators"
    code, out, _ = main(*shlex.split(flags), "macs,noise,good,worse")
    assert code == 0
    assert out.splitlines()[-1] == (
        "next: python scripts/search.py --space nasbench201 --dataset digits --image-size 8 --cells 1 --channels 4 "
        "--estimator good"
    )
    Path("new.csv").rename("old.csv")
    Path("new.scores.csv").unlink()
    for figure in Path().glob("new-*.png"):
        figure.unlink()
    code, out, _ = main(*shlex.split(flags), "macs,worse")
    assert (code, out.splitlines()[-1]) == (0, "scores: new.scores.csv")


def test_a_terminal_gets_bars_that_go_away(main, monkeypatch):
    make = console.make_console
    monkeypatch.setattr(console, "make_console", lambda: type(make())(force_terminal=True, width=100, highlight=False))
    code, out, _ = main(*shlex.split(f"{TINY} --estimators macs"))
    assert code == 0
    assert "12/12" in out
    assert "given" in out.rpartition("\x1b[2K")[2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_shows_what_is_finished(main, fake, number, code):
    fake(first=lambda genomes: genomes.sum(1), second=lambda genomes: signal.raise_signal(number))
    flags = shlex.split(f"{TINY} --output table.csv --estimators")
    got, out, err = main(*flags, "first,second")
    assert (got, err) == (code, "")
    assert "table: table.csv" in out
    assert out.splitlines()[-1] == "interrupted: measure the others with --estimator second and another --output"
    Path("table.csv").unlink()
    got, out, _ = main(*shlex.split(f"{TINY} --output other.csv --estimators second"))
    assert got == code
    assert out.splitlines()[-1] == "interrupted before an estimator was finished: nothing is saved"


def test_help_names_every_flag(main):
    code, out, _ = main("--help")
    assert code == 0
    flags = {f"--{name.replace('_', '-')}" for name in CorrelateConfig.__dataclass_fields__}
    assert flags <= set(re.findall(r"--[a-z-]+", out))
