"""Nothing is written, truncated or deleted through what leads out of a run folder."""

import shutil
import warnings
from pathlib import Path

import pytest

import rwejax
from rwejax import InputError
from rwejax.searching import loop
from tests import fakes, hostile

OWN = ("evaluations.jsonl", "history.csv", "meta.json", "front.csv", "front.png", "checkpoints", "config.yaml")
SPECIAL = [
    *((name, trap) for name in OWN for trap in ("link", "dangling", "fifo", "link to folder")),
    *(
        (f".{name}.part", trap)
        for name in ("meta.json", "front.csv", "front.png")
        for trap in ("link", "fifo", "folder")
    ),
    *((name, "hard link") for name in ("evaluations.jsonl", "history.csv", ".meta.json.part")),
    *((f"checkpoints/{name}", "link to folder") for name in ("1", "2", "5.orbax-checkpoint-tmp")),
    ("checkpoints/2/default/manifest.ocdbt", "fifo"),
]


@pytest.mark.parametrize(("name", "trap"), SPECIAL)
def test_nothing_is_written_through_what_leads_out_of_a_run(monkeypatch, tmp_path, name, trap):
    fakes.use(monkeypatch)
    place = hostile.Place(tmp_path)
    shutil.copytree(hostile.OLD / "search", place.run)
    hostile.set_trap(place.run / name, trap, tmp_path / "canary", [])
    before = {path: path.lstat().st_mtime_ns for path in place.run.rglob("*")}
    with hostile.watchdog(10), pytest.raises(InputError) as caught:
        loop.resume(place.run)
    assert Path(name).name in str(caught.value)
    assert place.untouched()
    assert before == {path: path.lstat().st_mtime_ns for path in place.run.rglob("*")}, "it is refused before any work"


def test_a_run_folder_may_be_a_link_itself(monkeypatch, tmp_path):
    fakes.use(monkeypatch)
    shutil.copytree(hostile.OLD / "search", tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(loop.resume(tmp_path / "link").evaluations) == 18


@pytest.mark.parametrize("name", ["evaluations.jsonl", "meta.json", "config.yaml"])
def test_what_is_only_read_may_be_a_link(tmp_path, name):
    run = shutil.copytree(hostile.OLD / "search", tmp_path / "run")
    shutil.move(run / name, tmp_path / name)
    (run / name).symlink_to(tmp_path / name)
    assert len(rwejax.load(run).evaluations) == 12
