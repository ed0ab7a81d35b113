import numpy as np
import pytest
from sklearn.datasets import load_digits

from rwejax.data import load
from rwejax.errors import InputError


def pixels(images, dataset):
    """Undoes the standardisation."""
    return np.rint(images * dataset.std + dataset.mean).astype(int)


def test_shapes_and_types():
    dataset = load("digits", train=200, validation=100)
    assert dataset.train_images.shape == (200, 16, 16, 1)
    assert dataset.validation_images.shape == (100, 16, 16, 1)
    assert dataset.train_images.dtype == dataset.validation_images.dtype == np.float32
    assert dataset.train_labels.dtype == dataset.validation_labels.dtype == np.int32
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("digits", 10, (16, 16, 1))


def test_images_and_labels_are_those_of_scikit_learn():
    # Every native image, scaled from 0..16 to 0..255, is found among scikit-learn's under the same label.
    bunch = load_digits()
    known = {
        tuple(np.rint(image * 255 / 16).astype(int).ravel()): label
        for image, label in zip(bunch.images, bunch.target, strict=True)
    }
    dataset = load("digits", train=1000, validation=438, image_size=8)
    test_images, test_labels = dataset.test()
    images = np.concatenate([dataset.train_images, dataset.validation_images, test_images])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels, test_labels])
    assert len(images) == 1797
    found = [tuple(image.ravel()) for image in pixels(images, dataset)]
    assert set(found) == set(known)
    assert [known[image] for image in found] == labels.tolist()


def test_the_test_part_is_balanced_and_the_same_for_every_seed():
    one, other = load("digits", train=50, validation=50), load("digits", train=50, validation=50, seed=7)
    images, labels = one.test()
    other_images, other_labels = other.test()
    np.testing.assert_array_equal(labels, other_labels)
    np.testing.assert_array_equal(pixels(images, one), pixels(other_images, other))
    assert np.ptp(np.bincount(labels)) <= 1
    assert abs(len(labels) / 1797 - 0.2) < 0.01


def test_standardised_by_the_train_subset_alone():
    dataset = load("digits", train=300, validation=300)
    np.testing.assert_allclose(dataset.train_images.mean(dtype=float), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train_images.std(dtype=float), 1, atol=1e-5)
    assert abs(dataset.validation_images.mean(dtype=float)) > 1e-4


def test_the_first_images_are_balanced():
    dataset = load("digits", train=1000, validation=100)
    assert np.ptp(np.bincount(dataset.train_labels[:256], minlength=10)) <= 1


def test_seeds():
    one, same = load("digits", train=100, validation=50, seed=1), load("digits", train=100, validation=50, seed=1)
    other = load("digits", train=100, validation=50, seed=2)
    np.testing.assert_array_equal(one.train_images, same.train_images)
    np.testing.assert_array_equal(one.validation_images, same.validation_images)
    assert not np.array_equal(one.train_images, other.train_images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0}, r"train=0 .* at least one image a class"),
        ({"validation": -3}, r"validation=-3 .* at least one image a class"),
        ({"train": 9}, r"train=9 .* the 10 classes of dataset 'digits'"),
        (
            {"train": 1400, "validation": 100},
            r"1438 images to draw from, 138 in its smallest class.*1500: ask for",
        ),
        ({"image_size": 3}, r"image_size=3 is out of range: give a size from 4 to 512"),
        ({"image_size": 513}, r"image_size=513 is out of range"),
        ({"seed": -1}, r"seed=-1 is negative"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(InputError, match=message):
        load("digits", **({"train": 100, "validation": 100} | arguments))


def test_repr_is_short():
    assert len(repr(load("digits", train=100, validation=100))) < 120
