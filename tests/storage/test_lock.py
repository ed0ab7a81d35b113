"""One process works on a run folder at a time, and a kill leaves no lock behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from rwejax.errors import InputError
from rwejax.searching.config import SearchConfig
from rwejax.searching.records import Run
from rwejax.storage import run_dir
from rwejax.storage.run_dir import is_in_use


@pytest.fixture
def folder(tmp_path):
    with Run.create(SearchConfig(run_dir=tmp_path / "run")):
        pass
    return tmp_path / "run"


@pytest.fixture(params=["config.yaml", ".lock"], ids=["posix", "windows"])
def lock_file(request, monkeypatch):
    """On Windows an empty file is locked: nobody else could read config.yaml."""
    monkeypatch.setattr(run_dir, "_LOCK_FILE", request.param)
    return request.param


def contents(folder):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.iterdir()]}


def test_a_folder_is_in_use_while_it_is_open(lock_file, folder):
    assert not is_in_use(folder)
    with Run.open(folder):
        before = contents(folder)
        assert is_in_use(folder)
        with pytest.raises(InputError, match="in use by another process: wait for it or stop it"):
            Run.open(folder)
    assert not is_in_use(folder)
    assert contents(folder) == before
    with Run.open(folder):  # being asked about has left no lock
        assert is_in_use(folder)


def test_a_folder_is_in_use_from_the_start(lock_file, tmp_path):
    with Run.create(SearchConfig(run_dir=tmp_path / "run")):
        assert is_in_use(tmp_path / "run")
    assert not is_in_use(tmp_path / "run")


def test_what_is_no_run_is_not_in_use(tmp_path):
    (tmp_path / "file").write_text("")
    assert not any(is_in_use(path) for path in (tmp_path, tmp_path / "missing", tmp_path / "file"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_process_leaves_no_lock(lock_file, folder):
    script = f"""
import sys, time
from pathlib import Path
from rwejax.searching.records import Run
from rwejax.storage import run_dir
run_dir._LOCK_FILE = {lock_file!r}
with Run.open(Path({str(folder)!r})):
    print("open", flush=True)
    time.sleep(100)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "open\n"
        assert is_in_use(folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not is_in_use(folder)
    with Run.open(folder):
        pass


def test_a_moment_in_which_somebody_asks_is_waited_for(folder, monkeypatch):
    other = os.open(folder / "config.yaml", os.O_RDONLY)
    assert filelock.lock_descriptor(other, blocking=False)
    sleep = time.sleep
    monkeypatch.setattr(run_dir.time, "sleep", lambda pause: os.close(other) if pause else sleep(0))
    with Run.open(folder):
        assert is_in_use(folder)


def test_a_file_system_without_locks_is_no_reason_to_refuse(folder, monkeypatch):
    def none(*_, **__):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(filelock, "lock_descriptor", none)
    with Run.open(folder):
        assert not is_in_use(folder)


def test_a_folder_that_may_only_be_read_is_opened(folder, monkeypatch):
    opened = []

    def read_only(path, flags, *rest):
        if Path(path).parent == folder:
            opened.append(Path(path).name)
            assert flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) == 0, "the folder may only be read"
        return open_file(path, flags, *rest)

    open_file = os.open
    monkeypatch.setattr(os, "open", read_only)
    with Run.open(folder):
        assert is_in_use(folder)
    assert opened == ["config.yaml", "config.yaml"]
