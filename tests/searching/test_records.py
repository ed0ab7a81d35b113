import contextlib
import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import moocore
import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from rwejax.errors import InputError
from rwejax.objectives import RWE_SCORES
from rwejax.searching.front import find_front
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import PARTS, Progress, SearchObserver
from rwejax.searching.records import Evaluation, Run
from rwejax.storage.atomic import replacing
from rwejax.storage.checkpoints import Checkpoints
from rwejax.storage.run_dir import check_free
from tests import fakes

# Every file operation of Python's that the interpreter announces before it is done.
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
SNAPSHOTS = {"run": None, "to": None, "count": 0}
LOCK = threading.Lock()
SUBPROCESS = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def take_snapshot(event, arguments):
    """Copies the run folder as a kill at this moment would leave it."""
    run, to = SNAPSHOTS["run"], SNAPSHOTS["to"]
    if run is None or event not in OPERATIONS or not any(str(run) in str(argument) for argument in arguments):
        return
    if not LOCK.acquire(blocking=False):
        return  # the copying itself, or another thread of Orbax's
    target = to / f"{SNAPSHOTS['count']:04}"
    try:
        shutil.copytree(run, target)
        SNAPSHOTS["count"] += 1
    except (OSError, shutil.Error):  # a file went away under the copy, so this is no moment that there was
        shutil.rmtree(target, ignore_errors=True)
    finally:
        LOCK.release()


@contextlib.contextmanager
def snapshots(run, to):
    SNAPSHOTS.update(run=run, to=to, count=0)
    yield
    SNAPSHOTS.update(run=None)


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    return fakes.use(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder, and what it looked like at every file operation on the way."""
    root = tmp_path_factory.mktemp("finished")
    sys.addaudithook(take_snapshot)
    with pytest.MonkeyPatch.context() as monkeypatch:
        fakes.use(monkeypatch)
        (root / "moments").mkdir()
        with snapshots(root / "run", root / "moments"):
            search(fakes.tiny(run_dir=root / "run"))
    return root / "run"


@pytest.fixture(scope="module")
def moments(finished):
    return sorted((finished.parent / "moments").iterdir())


@pytest.fixture
def quick(monkeypatch):
    """Figures are drawn slowly, and have tests of their own."""

    def save_front(result, path):
        with replacing(path, "wb") as file:
            file.write(b"\x89PNG")

    monkeypatch.setattr("rwejax.searching.plot.save_front", save_front)


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def rows(run):
    lines = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "seconds" not in key and "time" not in key} for line in lines]


def history(run):
    """The rows of history.csv: what is the same in every run of a config, and the seconds."""
    with open(run / "history.csv", newline="") as file:
        found = list(csv.DictReader(file))
    seconds = [{name: row.pop(name) for name in ("seconds", *PARTS)} for row in found]
    return found, seconds


def assert_same(run, finished):
    assert rows(run) == rows(finished)
    assert history(run)[0] == history(finished)[0]
    assert all(text for row in history(run)[1] for text in row.values())
    for name in ("front.csv", "config.yaml"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()
    assert (run / "front.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in run.iterdir()} == {path.name for path in finished.iterdir()}
    assert (run / "checkpoints" / "3").is_dir()


def test_a_run_folder_holds_what_it_should(finished):
    names = {"config.yaml", "meta.json", "evaluations.jsonl", "history.csv", "front.csv", "checkpoints"}
    names |= {"front.png", "samples.png"}
    assert {path.name for path in finished.iterdir()} == names
    assert {path.name for path in (finished / "checkpoints").iterdir()} == {"3", "4"}
    meta = json.loads((finished / "meta.json").read_text())
    assert {"rwejax", "jax", "jaxlib", "flax", "numpy", "evosax"} <= set(meta["versions"])
    assert meta["seed"] == 0
    assert meta["devices"] >= 1
    assert meta["hypervolume_reference"][0] == 100
    assert not any(path.suffix in (".pkl", ".pickle") for path in finished.rglob("*"))


def test_rows_are_numbered_and_complete(finished):
    found = rows(finished)
    assert [row["index"] for row in found] == list(range(24))
    assert [row["generation"] for row in found] == [1] * 6 + [2] * 6 + [3] * 6 + [4] * 6
    assert all(row["objectives"] == [row["loo_error"], row["macs"] / 1e6] for row in found)


def test_the_history_has_a_row_a_generation(finished):
    found, seconds = history(finished)
    assert [int(row["generation"]) for row in found] == [1, 2, 3, 4]
    assert [int(row["evaluations"]) for row in found] == [6, 12, 18, 24]
    reference = json.loads((finished / "meta.json").read_text())["hypervolume_reference"]
    objectives = np.array([row["objectives"] for row in rows(finished)])
    for count, row in zip((6, 12, 18, 24), found, strict=True):
        assert float(row["best"]) == objectives[:count, 0].min()
        expected = moocore.hypervolume(objectives[:count], ref=reference)
        assert float(row["hypervolume"]) == pytest.approx(expected, rel=1e-5)
    for row in seconds:
        assert sum(float(row[name]) for name in PARTS) == pytest.approx(float(row["seconds"]), abs=1e-5)


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_is_harmless(step, moments, finished, quick, tmp_path):
    begun = [moment for moment in moments if (moment / "config.yaml").exists()]
    done = {len(Run.evaluations(run)) for moment in begun for run in [Run(moment, fakes.tiny(), -1)]}
    assert done == {0, 6, 12, 18, 24}, "the moments do not cover the run"
    assert any(len(list((moment / "checkpoints").glob("*tmp*"))) for moment in begun), (
        "no moment is inside a checkpoint"
    )
    for moment in moments[::step]:
        if moment in begun:
            resume(moment)
            assert_same(moment, finished)
        else:
            with pytest.raises(InputError, match=r"holds no config\.yaml"):
                resume(moment)
            search(fakes.tiny(run_dir=moment))
            assert_same(moment, finished)


@pytest.mark.parametrize("torn", [0, 1, 40, -1])
@pytest.mark.parametrize("count", [18, 20, 23])
def test_a_torn_line_is_dropped_and_surplus_rows_are_cut(copy, finished, quick, count, torn):
    whole = (finished / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_bytes(b"".join(whole[:count]) + whole[count][:torn])
    shutil.rmtree(copy / "checkpoints" / "4")
    resume(copy)
    assert_same(copy, finished)


@pytest.mark.parametrize("kept", [None, 2, 3])
def test_the_history_of_an_older_run_is_completed(copy, finished, quick, kept):
    """A folder that was written before there were histories, or one whose completion was killed."""
    path = copy / "history.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    if kept is not None:
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:3])
    evaluations = (copy / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_bytes(b"".join(evaluations[:-1]))
    shutil.rmtree(copy / "checkpoints" / "4")
    resume(copy)
    assert history(copy)[0] == history(finished)[0]
    known = [bool(row["seconds"]) for row in history(copy)[1]]
    assert known == [each < (kept or 1) for each in (1, 2, 3)] + [True]


@pytest.mark.parametrize("event", ["on_start", "on_generation", "on_end", "close"])
def test_what_an_observer_breaks_is_recorded_and_resumed(finished, quick, tmp_path, event):
    class Broken(SearchObserver):
        closed = 0

        def close(self):
            self.closed += 1

    class Whole(Broken):
        pass

    def fail(*_):
        raise RuntimeError("the observer is broken")

    broken, whole = Broken(), Whole()
    setattr(broken, event, fail)
    with pytest.raises(RuntimeError, match="the observer is broken"):
        search(fakes.tiny(run_dir=tmp_path / "run"), [broken, whole])
    done = {"on_start": 0, "on_generation": 1}.get(event, 4)
    assert done == 0 or len(rows(tmp_path / "run")) == 6 * done
    assert (tmp_path / "run" / "front.csv").exists() == (done > 0)
    assert whole.closed == 1
    assert broken.closed == (event != "close")
    resume(tmp_path / "run", [whole])
    assert whole.closed == 2
    assert_same(tmp_path / "run", finished)


@pytest.mark.parametrize("place", ["in an evaluation", "in a line"])
def test_kill_9(place, finished, quick, tmp_path):
    """A real signal, against whatever a copy of the folder does not show."""
    script = f"""
import importlib, os, signal
from pathlib import Path
import rwejax.searching.records
from tests import fakes
search = importlib.import_module("rwejax.searching.loop")
importlib.import_module("rwejax.evaluate.scoring").ForwardPass = fakes.FakeEvaluator
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
place = {place!r}
if place == "in a line":
    to_json = rwejax.searching.records.Evaluation.to_json
    def torn(self):
        if self.index == 15:
            with open(Path({str(tmp_path)!r}) / "run" / "evaluations.jsonl", "ab") as file:
                file.write(b'{{"index": 12, "gen')
            kill()
        return to_json(self)
    rwejax.searching.records.Evaluation.to_json = torn
else:
    fakes.FakeEvaluator.before_call = staticmethod(lambda calls: kill() if calls == 2 else None)
search.search(fakes.tiny(run_dir=Path({str(tmp_path)!r}) / "run"))
"""
    killed = subprocess.run([sys.executable, "-c", script], env=SUBPROCESS, capture_output=True, text=True, timeout=100)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resume(tmp_path / "run")
    assert_same(tmp_path / "run", finished)
    assert len(json.loads((tmp_path / "run" / "meta.json").read_text())["resume_times"]) == 1


def test_a_finished_run_is_only_read(copy, finished, fake):
    (copy / "front.csv").unlink()
    (copy / "front.png").unlink()
    result = resume(copy)
    assert fake.calls == 0
    assert_same(copy, finished)
    assert len(result.genomes) == 24


def test_missing_evaluations_are_not_made_up(copy, quick):
    lines = (copy / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_bytes(b"".join(lines[:20]))
    with pytest.raises(InputError, match="has 20 evaluations and a checkpoint of generation 4 of 6 each"):
        resume(copy)
    assert len(rows(copy)) == 20


def test_evaluations_are_not_thrown_away_for_want_of_a_checkpoint(copy, quick):
    shutil.rmtree(copy / "checkpoints")
    lines = (copy / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_bytes(b"".join(lines[:20]))
    with pytest.raises(InputError, match="has 20 evaluations and a checkpoint of generation 0"):
        resume(copy)
    assert len(rows(copy)) == 20


def test_a_broken_line_is_named(copy):
    path = copy / "evaluations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for broken in (b"{}\n", b"nonsense\n", lines[5], b"[1]\n", lines[3].replace(b"[", b"[3,")):
        path.write_bytes(b"".join([*lines[:3], broken, *lines[4:]]))
        with pytest.raises(InputError, match=r"line 4 of .*evaluations\.jsonl' is broken"):
            resume(copy)


@pytest.mark.parametrize("damage", ["garbage", "missing", "foreign"])
def test_a_broken_checkpoint_is_named_and_the_one_before_serves(copy, finished, quick, damage, capfd):
    lines = (copy / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:-3])
    shutil.rmtree(copy / "checkpoints" / "4")
    checkpoint = copy / "checkpoints" / "3"
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    assert files
    if damage == "garbage":
        for path in files:
            if path.parent.name == "d":
                path.write_bytes(b"garbage")
    elif damage == "missing":
        shutil.rmtree(checkpoint / "default")
    else:
        shutil.rmtree(checkpoint)
        shutil.copytree(make_checkpoint(copy.parent / "other"), checkpoint)
    words = {"foreign": "is of another search or network: it has nothing where"}
    with pytest.raises(InputError, match=r"checkpoint .*checkpoints/3' ") as caught:
        resume(copy)
    assert words.get(damage, "cannot be read: move it out of the run folder") in str(caught.value)
    assert capfd.readouterr().err == ""


def make_checkpoint(folder):
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        checkpoints.save(3, {"population": np.zeros((2, 2), np.int32)})
    return folder / "3"


def test_a_run_in_use_is_refused(copy):
    with Run.open(copy), pytest.raises(InputError, match="in use by another process"):
        resume(copy)
    assert len(resume(copy).genomes) == 24


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("x"), "is no folder"),
        (lambda path: path.mkdir(), "holds no config.yaml"),
        (lambda path: (path / "config.yaml").mkdir(parents=True), "holds no config.yaml"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("{")), "no YAML"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("a: 1")), "unknown key 'a'"),
        (lambda path: (path.mkdir(), (path / "config.yaml").write_text("seeds: 0")), "seeds is 0"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, make, words):
    make(tmp_path / "run")
    with pytest.raises(InputError) as caught:
        resume(tmp_path / "run")
    assert words in str(caught.value)


def test_a_folder_that_holds_something_is_never_written_to(tmp_path, fake):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty: give a folder that is missing or empty"):
        search(fakes.tiny(run_dir=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert fake.calls == 0


def test_a_run_is_never_overwritten(copy, finished):
    with pytest.raises(InputError, match="resume it with --resume"):
        search(fakes.tiny(run_dir=copy))
    assert_same(copy, finished)


def test_run_folders_that_cannot_be_written_are_refused_early(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="run_dir"):
            check_free(path)
    with pytest.raises(InputError, match="cannot be written"):
        Run.create(fakes.tiny(run_dir=Path("/proc/run")))


def test_unnamed_runs_of_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = set()
    for _ in range(3):
        with Run.create(fakes.tiny(dataset="folder:/a/my pictures")) as run:
            folders.add(run.path)
    assert len(folders) == 3
    assert all(path.parts[0] == "runs" and path.name.startswith("macro-my-pictures-2") for path in folders)


@pytest.mark.parametrize("place", ["rwejax.searching.records.Run.append", "rwejax.searching.plot.save_front"])
def test_a_full_disk_is_answered_in_one_sentence(tmp_path, monkeypatch, quick, place):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, full)
    with pytest.raises(InputError, match=r"cannot be written any more \(No space left on device\)"):
        search(fakes.tiny(run_dir=tmp_path / "run"))


def test_a_finished_run_that_may_only_be_read_is_read(copy, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write_front", refuse)
    assert len(resume(copy).genomes) == 24


def test_numbers_that_json_does_not_know_become_null_and_come_back_as_the_worst():
    scores = {"loo_error": 100.0, "loo_squared_error": math.inf, "log_evidence": -math.inf, "nwot": -math.inf}
    worst = Evaluation(0, 1, "01", (math.inf, 1.5), scores, 1_500_000, 3, 1, 0.5)
    fields = json.loads(worst.to_json(), parse_constant=pytest.fail)
    assert fields["objectives"] == [None, 1.5]
    assert fields["loo_squared_error"] is None
    assert fields["log_evidence"] is None
    assert Evaluation.from_json(worst.to_json(), tuple(scores), 2) == worst


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [2, 3])
def test_the_front_agrees_with_pymoo(seed, count):
    rng = np.random.default_rng(seed)
    objectives = rng.integers(0, 8 if seed % 2 else 1000, (60, count)).astype(float)
    front = find_front(objectives)
    peers = objectives[NonDominatedSorting().do(objectives, only_non_dominated_front=True)]
    np.testing.assert_array_equal(np.unique(objectives[front], axis=0), np.unique(peers, axis=0))
    assert len(np.unique(objectives[front], axis=0)) == len(front), "a point comes twice"
    assert np.all(np.diff(objectives[front, -1]) >= (1e-9 if count == 2 else 0))
    firsts = [np.flatnonzero((objectives == point).all(axis=1))[0] for point in objectives[front]]
    assert front.tolist() == firsts, "not the first of equal points"


def test_points_that_are_not_finite_are_no_front():
    assert find_front(np.array([[np.inf, 0.0], [np.nan, 0.0], [1.0, 2.0]])).tolist() == [2]
    assert find_front(np.full((3, 2), np.inf)).tolist() == []
    assert find_front(np.zeros((0, 2))).tolist() == []


def test_lines_are_on_the_disk_before_the_checkpoint(tmp_path, monkeypatch):
    order = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("sync"), fsync(descriptor)))
    with Run.create(fakes.tiny(run_dir=tmp_path / "run")) as run:
        del order[:]
        monkeypatch.setattr(type(run.checkpoints), "save", lambda *_: order.append("checkpoint"))
        row = Evaluation(0, 1, "01", (1.0, 1.0), dict.fromkeys(RWE_SCORES, 1.0), 1, 1, 0, 1.0)
        progress = Progress(1, 1, 1.0, 1.0, 1.0, 0.0, 1.0, dict.fromkeys(PARTS, 0.0))
        run.record([row], 1, progress, {})
    assert order[:2] == ["sync", "sync"]
    assert "checkpoint" not in order[:-1]
    assert order[-1] == "checkpoint"
