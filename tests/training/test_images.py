"""A training and its images: labels are never permuted without a word, and no checkpoint is blamed for it."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from rwejax.cli.train import parse
from rwejax.errors import InputError
from rwejax.storage.yaml_config import read_config
from rwejax.training.config import TrainConfig
from rwejax.training.loop import resume, train
from rwejax.training.observers import TrainObserver


class Interrupted(Exception):
    pass


class Stop(TrainObserver):
    def on_epoch(self, epoch, seconds_left):
        raise Interrupted


def draw(folder, names):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Images, and a training of which one of two epochs is finished."""
    folder = tmp_path_factory.mktemp("made")
    pictures = draw(folder / "pictures", ["ant", "bee", "cat"])
    config = TrainConfig(
        architecture="101110",
        nodes=2,
        channels=2,
        dataset=f"folder:{pictures}",
        epochs=2,
        batch_size=16,
        run_dir=folder / "run",
    )
    with pytest.raises(Interrupted):
        train(config, [Stop()])
    return folder


@pytest.fixture
def half(made, tmp_path):
    """A copy of both, to be changed; the run knows where the copied images are."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(config.replace(str(made), str(tmp_path)))
    return tmp_path / "pictures", tmp_path / "run"


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rename(pictures):
    (pictures / "ant").rename(pictures / "zebra")


def add(pictures):
    draw(pictures, ["aardvark"])


def remove(pictures):
    shutil.rmtree(pictures / "cat")


def empty(pictures):
    for path in sorted((pictures / "cat").iterdir())[5:]:
        path.unlink()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (rename, "class 'ant' is gone, class 'zebra' is new"),
        (add, "class 'aardvark' is new"),
        (remove, "class 'cat' is gone"),
        (empty, r"36 images to draw from, 4 in its smallest class, but train=44 and validation=4 make 48 in"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_changed_images_are_not_trained_on(half, change, difference):
    pictures, run = half
    change(pictures)
    before = content(run)
    with pytest.raises(InputError, match=f"the images have changed: {difference}") as caught:
        resume(run)
    assert "checkpoint" not in str(caught.value)
    assert "delete" not in str(caught.value)
    assert content(run) == before


def test_a_training_goes_on_where_its_images_are_now(half, tmp_path):
    pictures, run = half
    moved = pictures.rename(tmp_path / "moved")
    config = parse(["--resume", str(run), "--dataset", f"folder:{moved}"])[0].train
    result = resume(run, dataset=config.dataset, data_dir=config.data_dir)
    assert len(result.epochs) == 2
    assert read_config(run / "config.yaml", TrainConfig()).dataset == f"folder:{moved}"
    assert json.loads((run / "meta.json").read_text())["moves"][0]["dataset"] == f"folder:{moved}"


def test_a_training_of_an_older_version_goes_on(half):
    pictures, run = half
    meta = json.loads((run / "meta.json").read_text())
    kept = {name: meta[name] for name in meta if name not in ("class_names", "class_counts", "fingerprint")}
    (run / "meta.json").write_text(json.dumps(kept))
    shutil.copytree(run, run.parent / "other")
    assert len(resume(run).epochs) == 2
    assert {**json.loads((run / "meta.json").read_text()), **meta} == json.loads((run / "meta.json").read_text())
    add(pictures)
    with pytest.raises(InputError, match="the images have changed: there are 4 classes where there were 3"):
        resume(run.parent / "other")


def test_a_checkpoint_of_other_shapes_is_whole(half):
    _, run = half
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub("channels: 2", "channels: 4", config))
    with pytest.raises(InputError, match="is of another search or network") as caught:
        resume(run)
    assert "delete" not in str(caught.value)
