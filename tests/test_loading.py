"""Results from disk: what a command returned, from folders in which nothing changes."""

import dataclasses
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import rwejax
from rwejax import CorrelateConfig, InputError, TrainConfig
from rwejax.searching.records import Run
from rwejax.storage.run_dir import is_in_use
from tests import fakes

TRAINING = TrainConfig(
    architecture="101110", nodes=2, channels=4, batch_size=32, train_images=64, validation_images=20, epochs=2
)


def contents(folder):
    """Everything that writing, making or deleting something would change."""
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        fakes.use(monkeypatch)
        return rwejax.search(fakes.tiny(run_dir=tmp_path_factory.mktemp("search")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return rwejax.train(dataclasses.replace(TRAINING, run_dir=tmp_path_factory.mktemp("train")))


@pytest.fixture(scope="module")
def correlated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("correlate")
    texts = ["00000000", "11111111", "22222222", "12121212", "02020202"]
    rows = [f"{text},{80 + 1.1 * number}" for number, text in enumerate(texts)]
    (folder / "truth.csv").write_text("\n".join(["architecture,accuracy", *rows]) + "\n")
    config = CorrelateConfig(
        "nasbench_macro",
        folder / "truth.csv",
        "accuracy",
        "macs,nwot",
        channels=4,
        image_size=8,
        images=40,
        output=folder / "table.csv",
    )
    return rwejax.correlate(config)


def test_a_search_is_what_it_returned(searched):
    before = contents(searched.run_dir)
    with Run.open(searched.run_dir):  # which is locked then
        loaded = rwejax.load(str(searched.run_dir))
    assert contents(searched.run_dir) == before
    assert loaded.config == dataclasses.replace(searched.config, run_dir=searched.run_dir)
    assert loaded.evaluations == searched.evaluations
    for name in ("genomes", "objectives", "front"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(searched, name))
    assert loaded.pick("error") == rwejax.pick(searched, "error")


@pytest.mark.parametrize("lines", [0, 7])
def test_of_a_search_in_progress_what_is_on_disk(searched, tmp_path, lines):
    whole = (searched.run_dir / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    shutil.copy(searched.run_dir / "config.yaml", tmp_path)
    if lines:
        (tmp_path / "evaluations.jsonl").write_bytes(b"".join(whole[:lines]) + whole[lines][:-5])
    loaded = rwejax.load(tmp_path)
    assert loaded.evaluations == searched.evaluations[:lines]
    assert loaded.genomes.shape == (lines, searched.genomes.shape[1])


def test_a_training_is_what_it_returned(trained):
    before = contents(trained.run_dir)
    loaded = rwejax.load(trained.run_dir)
    assert contents(trained.run_dir) == before
    assert (loaded.epochs, loaded.test) == (trained.epochs, trained.test)
    for mine, other in zip(jax.tree.leaves(loaded.variables), jax.tree.leaves(trained.variables), strict=True):
        np.testing.assert_array_equal(mine, other)
    images = np.random.default_rng(0).normal(size=(2, *trained.space.input_shape)).astype(np.float32)
    np.testing.assert_array_equal(
        loaded.network.apply(loaded.variables, images), trained.network.apply(trained.variables, images)
    )


def test_of_a_training_in_progress_the_newest_checkpoint(trained, tmp_path):
    run = Path(shutil.copytree(trained.run_dir, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "2")
    (run / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir()  # as it is written
    (run / "result.json").unlink()
    before = contents(run)
    loaded = rwejax.load(run)
    assert contents(run) == before
    assert loaded.test is None
    assert loaded.epochs == trained.epochs[:1]
    assert "epochs=1" in repr(loaded)
    assert any(
        not np.array_equal(mine, other)
        for mine, other in zip(jax.tree.leaves(loaded.variables), jax.tree.leaves(trained.variables), strict=True)
    )
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(InputError, match="holds no checkpoint"):
        rwejax.load(run)
    assert not (run / "checkpoints").exists()


def test_a_correlation_is_what_it_returned(correlated):
    before = contents(correlated.output.parent)
    loaded = rwejax.load(correlated.output)
    assert contents(correlated.output.parent) == before
    config = dataclasses.replace(loaded.config, truth=Path(loaded.config.truth))
    assert config == correlated.config
    assert loaded.space == correlated.space
    assert (loaded.texts, loaded.available) == (correlated.texts, correlated.available)
    for name in ("values", "macs"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(correlated, name))
    for mine, other in zip(loaded.measured, correlated.measured, strict=True):
        np.testing.assert_array_equal(mine.scores, other.scores)
        assert mine.correlation == pytest.approx(other.correlation, nan_ok=True, rel=0, abs=0)
        names = ("estimator", "dead", "seconds", "compile_seconds")
        assert [getattr(mine, name) for name in names] == [getattr(other, name) for name in names]


def test_a_search_as_a_frame(searched):
    frame = searched.to_dataframe()
    scores = list(searched.config.recorded)
    assert list(frame) == [
        "index",
        "generation",
        "architecture",
        *scores,
        "macs",
        "params",
        "on_front",
        "failed",
        "seconds",
    ]
    assert str(frame.architecture.dtype) == "string"
    assert frame.on_front.dtype == bool
    assert frame[["loo_error", "macs"]].to_numpy() == pytest.approx(searched.objectives * [1, 1e6])
    assert sorted(frame[frame.on_front]["index"]) == sorted(searched.front)


def test_a_training_and_a_correlation_as_frames(trained, correlated):
    frame = trained.to_dataframe()
    assert frame.to_dict("records") == [vars(epoch) for epoch in trained.epochs]
    frame = correlated.to_dataframe()
    assert list(frame) == ["architecture", "value", "macs", "nwot"]
    assert tuple(frame.architecture) == correlated.texts
    # pandas has a rank correlation of its own.
    for measured in correlated.measured:
        assert frame["value"].rank().corr(frame[measured.estimator].rank()) == pytest.approx(
            measured.correlation.spearman
        )


def test_without_pandas_a_sentence_names_the_extra(searched, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'rwejax\[pandas\]'"):
        searched.to_dataframe()


def test_figures_are_drawn_on_given_axes_or_new_ones(searched, trained, correlated):
    pyplot = "matplotlib.pyplot" in sys.modules  # other tests in this process may have imported it
    for result in (searched, trained, correlated):
        figure, given = result.plot(), Figure()
        assert isinstance(figure, Figure)
        axes, other = given.subplots(1, 2)
        assert result.plot(axes) is given
        assert axes.get_title(loc="left") == figure.axes[0].get_title(loc="left") != ""
        assert not other.has_data()
    assert "nwot" in correlated.plot(estimator="nwot").axes[0].get_title(loc="left")
    with pytest.raises(InputError, match="estimator 'rwe' was not measured: choose one of macs, nwot"):
        correlated.plot(estimator="rwe")
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "run folder '.*nowhere' does not exist: give the folder of a run"),
        ("empty", r"run folder '.*empty' holds no config\.yaml"),
        ("foreign", "has the unknown key 'colour'"),
        ("truth.csv", r"table '.*truth\.csv' has no column 'estimator'"),
        ("figure.png", r"table '.*figure\.png' is no CSV file"),
        ("alone.csv", r"alone\.scores\.csv' is unreadable"),
        ("mixed.csv", "do not fit together"),
    ],
)
def test_anything_else_is_one_sentence(correlated, tmp_path, name, sentence):
    for folder in ("empty", "foreign"):
        (tmp_path / folder).mkdir()
    (tmp_path / "foreign" / "config.yaml").write_text("colour: red\n")
    (tmp_path / "truth.csv").write_text("architecture,accuracy\n00000000,80\n")
    (tmp_path / "figure.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    for table in ("alone", "mixed"):
        shutil.copy(correlated.output, tmp_path / f"{table}.csv")
    (tmp_path / "mixed.scores.csv").write_text("architecture,accuracy,rwe\n00000000,80,1\n")
    with pytest.raises(InputError, match=sentence) as caught:
        rwejax.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_run_is_in_use_while_it_is_open(searched, tmp_path):
    assert not is_in_use(searched.run_dir)
    assert not is_in_use(tmp_path / "nowhere")
    with Run.open(searched.run_dir):
        assert is_in_use(searched.run_dir)
    assert not is_in_use(searched.run_dir)
