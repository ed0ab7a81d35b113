import dataclasses
import json
import runpy
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.exporting.from_run import export_run
from rwejax.training import loop
from rwejax.training.config import TrainConfig
from rwejax.training.loop import choose, resume, train
from rwejax.training.observers import TrainObserver

SMALL = TrainConfig(architecture="101110", nodes=2, channels=6, batch_size=32, train_images=320, validation_images=50)
CELL = (
    "[('max_pool_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 2), ('skip_connect', 0), "
    "('avg_pool_3x3', 1), ('skip_connect', 2), ('skip_connect', 3), ('max_pool_3x3', 0)]"
)
MICRO = "3 0 2 1 3 1 2 0 4 2 1 3 0 0 5 1 8 1 2 4 3 0 2 1 3 1 2 0 4 2 1 3 0 0 5 1 8 1 2 4"


class Snapshots(TrainObserver):
    """Copies the folder as a kill would leave it: in the middle of an epoch."""

    def __init__(self, folder):
        self.folder, self.run_dir, self.epoch = folder, None, 0

    def on_start(self, config, run_dir, epoch, macs, params):
        self.run_dir = run_dir

    def on_step(self, step, steps):
        if step == 2:
            shutil.copytree(self.run_dir, self.folder / str(self.epoch), dirs_exist_ok=True)

    def on_epoch(self, epoch, seconds_left):
        self.epoch = epoch.epoch


class Watcher(TrainObserver):
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def on_start(self, config, run_dir, epoch, macs, params):
        self.told.append("start")

    def on_epoch(self, epoch, seconds_left):
        self.told.append(epoch.epoch)

    def on_end(self, result):
        self.told.append(result)

    def close(self):
        self.told.append("close")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return train(dataclasses.replace(SMALL, epochs=3, run_dir=folder / "run"), [Snapshots(folder)]), folder


def metrics(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "seconds" not in name} for line in lines]


@pytest.mark.slow
def test_64_images_are_learnt_by_heart(tmp_path):
    changes = {"train_images": 64, "batch_size": 16, "epochs": 30, "crop_padding": 0, "weight_decay": 0.0}
    result = train(dataclasses.replace(SMALL, **changes, run_dir=tmp_path / "run"))
    assert result.epochs[-1].train_accuracy == 100
    assert result.test.test_accuracy > 30


@pytest.mark.parametrize("epoch", [0, pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_training_resumes_to_the_same_metrics(whole, epoch, tmp_path):
    result, folder = whole
    shutil.copytree(folder / str(epoch), tmp_path / "run")
    if epoch == 2:  # the kill came between the line and its checkpoint, and tore the next line
        with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
            file.write((result.run_dir / "metrics.jsonl").read_text().splitlines()[2] + '\n{"epoch": 4, "tr')
    watchers = Watcher(), Watcher()
    resumed = resume(tmp_path / "run", watchers)
    finished = [1, 2, 3][epoch:]
    assert watchers[0].told == watchers[1].told == ["start", *finished, resumed, "close"]
    assert metrics(resumed.run_dir) == metrics(result.run_dir)
    assert resumed.test == result.test
    for mine, other in zip(jax.tree.leaves(resumed.variables), jax.tree.leaves(result.variables), strict=True):
        assert np.array_equal(mine, other)


def test_a_finished_training_is_only_read(whole):
    result, _ = whole
    assert not (result.run_dir / "tensorboard").exists(), "it was not asked for"
    before = {path: path.stat().st_mtime_ns for path in result.run_dir.iterdir() if path.name != "curve.png"}
    watcher = Watcher()
    again = resume(result.run_dir, [watcher])
    assert watcher.told == ["start", again, "close"]
    assert again.test == result.test
    assert again.epochs == result.epochs
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_step_on_several_devices_is_that_on_one(monkeypatch):
    found = []
    for devices in (jax.local_devices()[:1], jax.local_devices()):
        monkeypatch.setattr(jax, "local_devices", lambda devices=devices: devices)
        task = loop._Task(dataclasses.replace(SMALL, train_images=32))
        state, sums = task.epoch(0, task.replicated(task.first_state()), ())
        assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == len(devices)
        found.append((sums, jax.tree.map(np.asarray, state.params)))
    (one, weights), (many, others) = found
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-5)
    for mine, other in zip(jax.tree.leaves(weights), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


@pytest.mark.slow
def test_a_cell_network_is_carried_over_to_large_images(tmp_path):
    """With all of the papers' means: stem, auxiliary head, drop-path, smooth labels, cutout; images are streamed."""
    generator = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(24):
            pixels = generator.integers(0, 90, (224, 224, 3)) + (150 if name == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / name / f"{number}.jpg")
    config = TrainConfig(
        space="darts",
        architecture=f"Genotype(normal={CELL}, normal_concat=range(2, 6), reduce={CELL}, reduce_concat=range(2, 6))",
        layers=3,
        stem="imagenet",
        macs_limit="12M",
        dataset=f"folder:{tmp_path / 'images'}",
        epochs=2,
        batch_size=8,
        auxiliary=0.4,
        drop_path=0.2,
        label_smoothing=0.1,
        cutout=16,
        run_dir=tmp_path / "run",
    )
    result = train(config)
    assert result.space.input_shape == (224, 224, 3)
    assert 9e6 < result.space.macs(result.genome[None])[0] <= 12e6
    assert all(np.isfinite(epoch.train_loss) for epoch in result.epochs)
    assert "auxiliary" in result.variables["params"]
    assert result.test.test_images == 10

    with pytest.raises(InputError, match="images of a training are not needed: leave out --dataset"):
        export_run(result.run_dir, tmp_path / "exported", dataset="digits")
    card = export_run(result.run_dir, tmp_path / "exported")
    assert card.metrics["test accuracy (%)"] == result.test.test_accuracy
    images = generator.normal(size=(3, 224, 224, 3)).astype(np.float32)
    expected = jax.jit(result.network.apply)(result.variables, images)
    scope = runpy.run_path(str(tmp_path / "exported" / "network.py"))
    variables = scope["load"](str(tmp_path / "exported" / "weights.safetensors"))
    np.testing.assert_allclose(jax.jit(scope["Network"]().apply)(variables, images), expected, atol=1e-4)


@pytest.mark.parametrize("limit", ["5M", "20.5M", "300M"])
def test_the_limit_of_macs_chooses_the_widest_network(limit):
    config = TrainConfig(space="micro", architecture=MICRO, layers=5, macs_limit=limit)
    space, genome = choose(config, (32, 32, 3), 10)
    wider = dataclasses.replace(space, channels=space.channels + 2)
    assert space.macs(genome[None])[0] <= float(limit[:-1]) * 1e6 < wider.macs(genome[None])[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": ""}, "no architecture is named"),
        ({"architecture": "12"}, "architecture '12' is none of macro"),
        ({"space": "mikro"}, "space 'mikro' is unknown"),
        (
            {"stem": "imagenet", "train_images": None, "validation_images": None, "image_size": 48},
            "images are 48 x 48 pixels: the macro space halves its maps 5 times; give --image-size a multiple of 32",
        ),
        ({"stem": "mobile"}, "stem 'mobile' is unknown: choose one of cifar, imagenet"),
        ({"epochs": 0}, "epochs is 0: give 1 or more"),
        ({"cutout": -1}, "cutout is -1: give 0 or more"),
        ({"momentum": 1.0}, "momentum is 1.0: give less than 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan: give 0 or more"),
        ({"learning_rate": 1e6}, "the loss of epoch 1 is not finite: give a lower --learning-rate than 1000000.0"),
        ({"auxiliary": 0.4}, "space 'macro' has no place for an auxiliary head"),
        ({"stem": "imagenet"}, "train_images is 320: with --stem imagenet images are read"),
        ({"macs_limit": "5M"}, "macs_limit '5M' chooses the channels: leave --channels out"),
        ({"macs_limit": "much", "channels": None}, "macs 'much' is no limit: give a number and one of K, M, G"),
        ({"macs_limit": "5", "channels": None}, "macs_limit '5' is less than the narrowest network has: give more"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(changes, message, tmp_path):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        train(dataclasses.replace(SMALL, **{"epochs": 1, "run_dir": tmp_path / "run"} | changes))


def test_a_broken_folder_is_refused_in_a_sentence(whole, tmp_path):
    result, _ = whole
    shutil.copytree(result.run_dir, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "metrics.jsonl").write_text(lines[0])
    with pytest.raises(InputError, match="has 1 lines of metrics and a checkpoint of epoch 3"):
        resume(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text(lines[1] + lines[0])
    with pytest.raises(InputError, match=r"line 1 of .* is broken"):
        resume(tmp_path / "run")


def test_the_network_has_as_many_weights_as_its_space_says(whole):
    result, _ = whole
    space = spaces.get("macro", nodes=2, channels=6, input_shape=(16, 16, 1), classes=10)
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(result.variables["params"])) == space.params(result.genome[None])[0]
    )
