"""Tables of trained networks: what is read of the trainings on disk, and whether these are of a setting."""

import dataclasses
import math

import pytest

from benchmarks.parts import truths
from benchmarks.parts.setting import TrainingSetting
from rwejax.evaluate.population import describe_setting
from rwejax.storage.trainings import TrainedNetwork, Trainings

CONFIG = TrainingSetting(dataset="digits", nodes=2, channels=2, train_images=60, validation_images=30, image_size=8)
TEXTS = "macro:2:10-10-10", "macro:2:11-10-11"


@pytest.fixture(scope="module")
def loaded():
    return CONFIG.load(CONFIG.space, CONFIG.sizes)


def write(table, loaded, number, errors):
    dataset, space = loaded
    setting = describe_setting(space, dataset, truths.recipe(CONFIG, number).settled(dataset))
    with Trainings.open(truths.file_of(table, number), setting) as file:
        for text, error in zip(TEXTS, errors, strict=False):
            file.append(TrainedNetwork(text, 12, error, 0.0, 1.0, 1.0, 50.0, 1, 1, 2.0 + number))


def test_trainings_that_are_there_count_and_one_that_diverged_tells_nothing_right(tmp_path, loaded):
    table = tmp_path / "table.csv"
    assert truths.accuracies(CONFIG, table) == {}
    write(table, loaded, 0, (40.0, math.nan))
    write(table, loaded, 1, (42.0,))
    found = truths.accuracies(CONFIG, table)
    assert {text: values.tolist() for text, values in found.items()} == {TEXTS[0]: [60.0, 58.0], TEXTS[1]: [0.0]}
    assert truths.seconds(CONFIG, table) == 2.0


def test_a_table_of_another_setting_is_known(tmp_path, loaded):
    dataset, space = loaded
    table = tmp_path / "table.csv"
    assert not truths.is_of(CONFIG, space, dataset, table)
    write(table, loaded, 0, (40.0,))
    assert truths.is_of(CONFIG, space, dataset, table)
    assert not truths.is_of(dataclasses.replace(CONFIG, epochs=3), space, dataset, table)
    fewer, _ = dataclasses.replace(CONFIG, train_images=50).load(CONFIG.space, CONFIG.sizes)
    assert not truths.is_of(CONFIG, space, fewer, table)
