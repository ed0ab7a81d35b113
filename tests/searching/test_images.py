"""A run and its images: what has changed is said, before anything is done; where only the place has, it goes on."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from rwejax.cli.search import parse
from rwejax.errors import InputError
from rwejax.exporting.from_run import export_run
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import SearchObserver
from rwejax.storage.yaml_config import read_config, write_config
from rwejax.training.from_search import check_origin, from_search
from tests import fakes


class Interrupted(Exception):
    pass


class Stop(SearchObserver):
    def on_generation(self, progress):
        if progress.generation == 2:
            raise Interrupted


@pytest.fixture(autouse=True)
def fake(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fakes.use(monkeypatch)


def draw(folder, names=("ant", "bee", "cat"), count=30):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def half(tmp_path):
    """Its images' folder, and that of a search of which two of four generations are finished."""
    pictures = draw(tmp_path / "pictures")
    with pytest.raises(Interrupted):
        search(fakes.tiny(dataset=f"folder:{pictures}", run_dir=tmp_path / "run"), [Stop()])
    return pictures, tmp_path / "run"


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rename(pictures):
    (pictures / "bee").rename(pictures / "wasp")


def add(pictures):
    draw(pictures, ["dog"])


def remove(pictures):
    shutil.rmtree(pictures / "cat")


def swap(pictures):
    (pictures / "ant").rename(pictures / "x")
    (pictures / "bee").rename(pictures / "ant")
    (pictures / "x").rename(pictures / "bee")


def repaint(pictures):
    for path in pictures.rglob("*.png"):
        pixels = np.array(Image.open(path))
        pixels[0, 0, 0] ^= 1
        Image.fromarray(pixels).save(path)


def thin_out(pictures):
    for path in sorted((pictures / "ant").iterdir())[:25]:
        path.unlink()


def thin_out_a_little(pictures):
    for path in sorted((pictures / "ant").iterdir())[:15]:
        path.unlink()


CHANGES = [
    (rename, "class 'bee' is gone, class 'wasp' is new"),
    (add, "class 'dog' is new"),
    (remove, "class 'cat' is gone"),
    (swap, "classes and their counts are as before, but other pixels"),
    (repaint, "classes and their counts are as before, but other pixels"),
    (thin_out, "52 images to draw from"),
    (thin_out_a_little, r"class 'ant' gives \d+ images instead of 20, class 'bee' gives"),
]


@pytest.mark.parametrize(("change", "difference"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_changed_images_are_not_searched_on(half, change, difference):
    pictures, run = half
    meta = json.loads((run / "meta.json").read_text())
    assert meta["class_names"] == ["ant", "bee", "cat"]
    assert sum(meta["class_counts"]) == 60
    assert re.fullmatch(r"[0-9a-f]{16}", meta["fingerprint"])
    change(pictures)
    before, calls = content(run), fakes.FakeEvaluator.calls
    with pytest.raises(InputError, match=f"the images have changed: {difference}.*in dataset 'folder:.*pictures'"):
        resume(run)
    assert content(run) == before
    assert fakes.FakeEvaluator.calls == calls
    config, origin = from_search(run)
    with pytest.raises(InputError, match=f"the images have changed: {difference}"):
        check_origin(config, origin)
    check_origin(dataclasses.replace(config, dataset="digits"), origin)  # on other images nothing has changed


def test_one_place_is_as_good_as_another(half, tmp_path):
    pictures, run = half
    shutil.copytree(run, tmp_path / "whole")
    whole = resume(tmp_path / "whole")
    moved = pictures.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="no longer there: give --dataset folder:PATH"):
        resume(run)
    config = parse(["--resume", str(run), "--dataset", f"folder:{moved}"]).search
    resumed = resume(run, dataset=config.dataset, data_dir=config.data_dir)
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)
    assert read_config(run / "config.yaml", fakes.tiny()).dataset == f"folder:{moved}"
    assert resumed.config.dataset == f"folder:{moved}"
    assert [each["dataset"] for each in json.loads((run / "meta.json").read_text())["moves"]] == [f"folder:{moved}"]
    check_origin(*from_search(run))
    resume(run)  # from the new place alone


def test_a_finished_search_moves_too(half, tmp_path):
    pictures, run = half
    before = resume(run)
    other = draw(tmp_path / "other", ["ant", "bee", "cat", "dog"])
    moved = pictures.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="the images have changed: class 'dog' is new"):
        resume(run, dataset=f"folder:{other}")
    assert read_config(run / "config.yaml", fakes.tiny()).dataset == f"folder:{pictures}"
    resumed = resume(run, dataset=f"folder:{moved}")
    np.testing.assert_array_equal(resumed.objectives, before.objectives)
    assert read_config(run / "config.yaml", fakes.tiny()).dataset == f"folder:{moved}"


def test_a_search_whose_images_have_moved_is_exported(half, tmp_path):
    pictures, run = half
    other = draw(tmp_path / "other", ["ant", "bee", "cat", "dog"])
    moved = pictures.rename(tmp_path / "moved")
    before = content(run)
    with pytest.raises(InputError, match="no longer there: give --dataset folder:PATH"):
        export_run(run, tmp_path / "exported")
    with pytest.raises(InputError, match="the images have changed: class 'dog' is new"):
        export_run(run, tmp_path / "exported", dataset=f"folder:{other}")
    card = export_run(run, tmp_path / "exported", dataset=f"folder:{moved}")
    assert (card.dataset, card.class_names) == (f"folder:{moved}", ["ant", "bee", "cat"])
    assert "![" in (tmp_path / "exported" / "README.md").read_text()
    assert card.architecture in (tmp_path / "exported" / "network.svg").read_text()
    assert content(run) == before


def test_a_moved_run_stays_locked(half, tmp_path):
    pictures, run = half
    moved = pictures.rename(tmp_path / "moved")

    class Second(SearchObserver):
        def on_generation(self, progress):
            with pytest.raises(InputError, match="is in use by another process"):
                resume(run)

    resume(run, [Second()], dataset=f"folder:{moved}")


def test_other_flags_are_refused_as_before(half, tmp_path):
    pictures, run = half
    for flags in (["--dataset", "digits"], ["--dataset", f"folder:{pictures}x", "--seed", "3"]):
        with pytest.raises(InputError, match=r"was started with .*--dataset folder:.*pictures"):
            parse(["--resume", str(run), *flags])
    assert parse(["--resume", str(run), "--data-dir", str(tmp_path)]).search.data_dir == tmp_path


def forget(run):
    """Make it the run of an older version, whose meta.json says nothing of images."""
    meta = json.loads((run / "meta.json").read_text())
    kept = {name: meta[name] for name in ("versions", "seed", "start_time", "hypervolume_reference")}
    (run / "meta.json").write_text(json.dumps(kept))


def test_a_run_of_an_older_version_resumes_and_remembers_from_then_on(half, tmp_path):
    pictures, run = half
    known = json.loads((run / "meta.json").read_text())
    forget(run)
    copy = shutil.copytree(pictures, tmp_path / "copy")
    with pytest.raises(InputError, match="no fingerprint of its images: resume it once where they were"):
        resume(run, dataset=f"folder:{copy}")
    assert len(resume(run).genomes) == 24
    meta = json.loads((run / "meta.json").read_text())
    assert all(meta[name] == known[name] for name in ("class_names", "class_counts", "fingerprint", "image_shape"))


def test_an_older_run_whose_classes_were_in_the_order_of_texts_is_refused(tmp_path):
    pictures = draw(tmp_path / "pictures", ["2", "10", "1"])
    with pytest.raises(Interrupted):
        search(fakes.tiny(dataset=f"folder:{pictures}", run_dir=tmp_path / "run"), [Stop()])
    shutil.copytree(tmp_path / "run", tmp_path / "old")
    assert len(resume(tmp_path / "run").genomes) == 24
    forget(tmp_path / "old")
    with pytest.raises(InputError, match="in another order than when the run began"):
        resume(tmp_path / "old")


def test_a_run_that_was_killed_before_its_meta_was_written_begins(half):
    pictures, run = half
    for path in (run / "meta.json", run / "evaluations.jsonl", run / "history.csv"):
        path.unlink()
    shutil.rmtree(run / "checkpoints")
    rename(pictures)
    assert len(resume(run).genomes) == 24
    assert json.loads((run / "meta.json").read_text())["class_names"] == ["ant", "cat", "wasp"]


def test_a_config_that_was_edited_is_no_broken_checkpoint(half):
    _, run = half
    config = read_config(run / "config.yaml", fakes.tiny())
    write_config(run / "config.yaml", dataclasses.replace(config, costs="macs,params"))
    for line in [(run / "evaluations.jsonl")]:
        text = re.sub(r'"objectives": \[([^\]]*)\]', r'"objectives": [\1, 1.0]', line.read_text())
        line.write_text(text)
    with pytest.raises(InputError, match="is of another search or network") as caught:
        resume(run)
    assert "delete" not in str(caught.value)
