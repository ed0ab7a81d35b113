"""Sets that are small, of many classes, or of unequal ones: numbers that nobody gave fit what is there."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from rwejax import data
from rwejax.data import splits
from rwejax.data.summary import summarise
from rwejax.searching.config import SearchConfig

MOST = SearchConfig().most_images


def folder(root, counts):
    for kind, count in enumerate(counts):
        (root / f"kind{kind}").mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4), (kind % 256, number % 256, kind // 256)).save(
                root / f"kind{kind}" / f"{number}.bmp"
            )
    return f"folder:{root}"


def searched(root, counts, **given):
    return data.load(folder(root, counts), **{"train": None, "validation": None, "most": MOST, **given})


def test_300_images_in_5_classes(tmp_path):
    dataset = searched(tmp_path, [60] * 5)
    assert dataset.summary.splitlines() == [
        "300 images in 5 classes: 192 train, 48 validation, 60 test",
        "48 validation images: an accuracy in steps of 2.1 points",
        "60 test images: an accuracy in steps of 1.7 points",
    ]
    assert np.ptp(np.bincount(dataset.train_labels)) <= 1


@pytest.mark.parametrize(
    ("available", "expected"), [(4, (2, 2)), (240, (192, 48)), (624, (500, 124)), (749, (500, 249)), (1438, (500, 250))]
)
def test_default_sizes(available, expected):
    assert splits.sizes(available, 2, None, None, MOST) == expected


def test_what_was_given_stays():
    assert splits.sizes(240, 5, 100, None, MOST) == (100, 140)
    assert splits.sizes(240, 5, None, 100, MOST) == (140, 100)
    assert splits.sizes(240, 5, 30, 20, MOST) == (30, 20)
    assert splits.sizes(240, 5, 200, 100, MOST) == (200, 100)  # which is then refused


def test_all_but_a_tenth_without_a_limit():
    assert splits.sizes(240, 5, None, None) == (216, 24)
    assert splits.sizes(12, 6, None, None) == (6, 6)


def test_a_validation_split_of_its_own():
    assert splits.sizes(1000, 5, None, None, MOST, separate=300) == (500, 250)
    assert splits.sizes(100, 5, None, None, MOST, separate=30) == (100, 30)
    assert splits.sizes(100, 5, None, None, None, separate=30) == (100, 30)


@settings(deadline=None)
@given(st.integers(2, 900), st.data())
def test_every_class_has_an_image_in_both_wherever_that_can_be(classes, draw):
    available = draw.draw(st.integers(2 * classes, 5000))
    for most in (None, MOST):
        train, validation = splits.sizes(available, classes, None, None, most)
        assert train >= classes
        assert validation >= classes
        assert train + validation <= available


def test_classes_of_three_images_and_more_than_500(tmp_path):
    few = searched(tmp_path / "few", [3, 3, 3])
    assert few.summary.splitlines()[0] == "9 images in 3 classes: 3 train, 3 validation, 3 test"
    assert sorted(few.validation_labels) == sorted(few.test()[1]) == [0, 1, 2]
    many = searched(tmp_path / "many", [3] * 520)
    assert many.summary.splitlines()[0] == "1560 images in 520 classes: 520 train, 520 validation, 520 test"


def test_99_to_1(tmp_path):
    dataset = searched(tmp_path, [297, 3])
    assert "classes of 2 to 238 images: always to say the largest is right in 99.2 %" in dataset.summary.splitlines()
    for labels in (dataset.train_labels, dataset.validation_labels, dataset.test()[1]):
        assert np.bincount(labels)[1] == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=12), st.data())
def test_subsets_are_as_large_as_asked_and_no_class_is_all_trained_on_in_vain(counts, draw):
    labels = np.repeat(np.arange(len(counts)), counts)
    if len(labels) < 2:
        return
    train = draw.draw(st.integers(1, len(labels) - 1))
    validation = draw.draw(st.integers(1, len(labels) - train))
    rows = splits.draw(labels, len(counts), train, validation, 0)
    assert [len(each) for each in rows] == [train, validation]
    assert len(np.unique(np.concatenate(rows))) == train + validation
    trained, validated = (np.bincount(labels[each], minlength=len(counts)) for each in rows)
    if validation >= len(counts) + sum(count > 1 for count in counts):
        assert not ((validated == 0) & (trained > 1) & (trained == counts)).any()


def test_steps_are_said_of_few_images_alone():
    lines = summarise(2, {"train": 10, "validation": 24, "test": 100}, "3 files").splitlines()
    assert lines[1:] == ["left out: 3 files", "24 validation images: an accuracy in steps of 4.2 points"]
