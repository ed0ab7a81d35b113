"""What a training makes of its images: how they are changed, in which batches, and what it says of them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from rwejax import data
from rwejax.storage.yaml_config import read_stored
from rwejax.training.batches import Loaded
from rwejax.training.config import TrainConfig
from rwejax.training.console import at_chance
from rwejax.training.loop import _settle, _summary, resume, train
from rwejax.training.observers import TrainObserver

TINY = TrainConfig(architecture="101110", nodes=2, channels=2, epochs=1)


def folder(root, coloured, count=15, classes=2):
    rng = np.random.default_rng(0)
    for number in range(count * classes):
        kind = root / str(number % classes)
        kind.mkdir(parents=True, exist_ok=True)
        shape = (16, 16, 3) if coloured else (16, 16)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(kind / f"{number}.png")
    return f"folder:{root}"


def settled(config):
    source = Loaded(data.load_named(config), config.seed)
    return _settle(config, source), source


@pytest.mark.parametrize(("coloured", "flip", "expected"), [(0, None, 0), (1, None, 1), (0, True, 1), (1, False, 0)])
def test_flips_follow_the_content_unless_they_are_given(tmp_path, coloured, flip, expected):
    config = dataclasses.replace(TINY, dataset=folder(tmp_path, coloured), flip=flip)
    config, source = settled(config)
    assert (config.flip, config.crop_padding) == (bool(expected), 2)
    assert (config.train_images, config.validation_images, config.batch_size) == (22, 2, 22)
    kind, channels = ("coloured", 3) if coloured else ("grey", 1)
    mirrored = "mirrored at random" if expected else "not mirrored"
    assert _summary(config, source).splitlines()[-1] == (
        f"{kind} images of 16 x 16 x {channels}: {mirrored}, shifted by up to 2 pixels at random, in batches of 22"
    )


def test_grey_is_what_has_equal_channels_whatever_their_number():
    dataset = data.load("digits", train=20, validation=10)
    assert dataset.grey
    tripled = dataclasses.replace(dataset, train_images=np.repeat(dataset.train_images, 3, axis=-1))
    assert tripled.grey
    tripled.train_images[0, 0, 0, 1] += 1
    assert not tripled.grey


@pytest.mark.parametrize("batch_size", [1, 7, 10, 20])
def test_every_image_of_an_epoch_is_shown_in_full_batches(batch_size):
    source = Loaded(data.load("digits", train=20, validation=10), seed=0)
    keys = {image.tobytes(): row for row, image in enumerate(source._split("train")[0])}
    batches = list(source.train_batches(3, batch_size))
    assert {len(labels) for _, labels in batches} == {batch_size}
    rows = [keys[image.tobytes()] for images, _ in batches for image in images]
    assert sorted(rows[:20]) == list(range(20))
    assert rows[20:] == rows[: len(rows) - 20]


class Listener(TrainObserver):
    def __init__(self):
        self.summaries = []

    def on_images(self, summary):
        self.summaries.append(summary)


def test_a_small_grey_folder_is_trained_on_and_what_was_chosen_is_written_down(tmp_path):
    listener = Listener()
    name = folder(tmp_path / "images", False, count=3, classes=3)
    result = train(dataclasses.replace(TINY, dataset=name, run_dir=tmp_path / "run"), [listener])
    assert listener.summaries[0].splitlines()[0] == "9 images in 3 classes: 3 train, 3 validation, 3 test"
    stored = read_stored(tmp_path / "run", TrainConfig())
    assert (stored.flip, stored.train_images, stored.validation_images, stored.batch_size) == (False, 3, 3, 3)
    assert result.config == stored
    resume(tmp_path / "run", [listener])
    assert len(listener.summaries) == 1


@pytest.mark.parametrize(
    ("accuracy", "images", "classes", "said"),
    [
        (10, 1000, 10, True),
        (11.5, 1000, 10, True),
        (12.5, 1000, 10, False),
        (0, 5, 10, True),
        (60, 20, 2, True),
        (90, 20, 2, False),
    ],
)
def test_an_accuracy_at_chance_is_called_that(accuracy, images, classes, said):
    text = at_chance(accuracy, images, classes)
    assert bool(text) == said
    assert not said or f"guessing one of {classes} classes gives {100 / classes:.3g} %" in text
