"""What cannot be written, or shown, is one sentence, and costs nothing that was computed."""

import contextlib
import io
import os
import resource
import shutil
import signal
import sys

import numpy as np
import pytest

import rwejax
from rwejax import InputError, TrainConfig
from rwejax.cli import main
from rwejax.searching import loop
from rwejax.searching.records import Run
from rwejax.storage.atomic import replacing
from rwejax.storage.checkpoints import Checkpoints
from rwejax.storage.yaml_config import from_yaml, to_yaml
from tests import fakes, hostile


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(hostile.OLD / "search", tmp_path / "run")


@contextlib.contextmanager
def disk_of(size):
    """Refuses what lies beyond so many bytes of a file, as a full disk does."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_checkpoint_on_a_full_disk_is_one_sentence_and_keeps_the_one_before(tmp_path, capfd):
    small, large = ({f"array{i}": np.full(n, i) for i in range(9)} for n in (1, 3000))
    with contextlib.closing(Checkpoints(tmp_path / "states")) as checkpoints:
        checkpoints.save(1, small)
        with disk_of(3000), pytest.raises(OSError, match="File too large"):
            checkpoints.save(2, {name: np.random.default_rng(0).random(3000) for name in large})
    with contextlib.closing(Checkpoints(tmp_path / "states")) as checkpoints:
        assert checkpoints.load(small)[0] == 1
        checkpoints.save(2, large)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("write", ["write_meta", "append", "cut"])
def test_whatever_writes_says_so(run, monkeypatch, write):
    def full(*_):
        raise OSError(28, "No space left on device")

    arguments = {"write_meta": [{}], "append": [["{}"]], "cut": [3]}[write]
    with Run.open(run) as opened:
        monkeypatch.setattr(os, "ftruncate" if write == "cut" else "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written any more \(No space left on device\)"):
            getattr(opened, write)(*arguments)


@pytest.mark.parametrize("name", [".", "checkpoints"])
def test_a_folder_that_may_only_be_read_is_refused_before_any_work(run, monkeypatch, name):
    fakes.use(monkeypatch)
    monkeypatch.setattr(loop, "Task", lambda *_: pytest.fail("this is work"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != run / name and access(path, mode))
    with pytest.raises(InputError, match=r"cannot be written any more \(Permission denied\)"):
        loop.resume(run)


def test_names_that_are_not_utf8_are_written_and_read(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    config = TrainConfig(architecture="1", dataset=f"folder:/{name}")
    assert from_yaml(to_yaml(config), TrainConfig()) == config
    with replacing(tmp_path / "table.csv") as file:
        file.write(name)
    assert (tmp_path / "table.csv").read_text() == r"caf\udce9"
    folder = shutil.copytree(hostile.OLD / "search", tmp_path / name)
    assert len(rwejax.load(folder).evaluations) == 12


@pytest.mark.parametrize("name", ["caf\u00e9", os.fsdecode(b"caf\xe9"), "\u56fe"])
def test_names_are_shown_on_a_terminal_that_knows_ascii(tmp_path, monkeypatch, name):
    folder = shutil.copytree(hostile.OLD / "search", tmp_path / name)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["rwejax", "status", str(folder)])
    monkeypatch.setattr("warnings.formatwarning", None)
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert stop.value.code == 0
    assert b"12 of 18" in written.getvalue()


def test_a_meta_with_what_json_does_not_know_is_a_sentence(run):
    text = (run / "meta.json").read_text()
    for value in ("NaN", '{"a": 1, "a": 2}', "[" * 5000, '"x"', "[1e999]", "-1", "[]"):
        (run / "meta.json").write_text(text.replace(": [", f': {value}, "x": ['))
        with pytest.raises(InputError, match=r"meta\.json in run folder .* is broken"):
            rwejax.load_many([run])
