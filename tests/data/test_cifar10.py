"""The real CIFAR-10; skipped where it is not prepared."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rwejax.data import cache, load, tfds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(cifar10_dir, tmp_path_factory):
    """All train and test images; the first read of the module, so that only one test waits for decoding."""
    home = tmp_path_factory.mktemp("shared_cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(home)
    try:
        source = tfds.find("cifar10", cifar10_dir)
        return home, cache.fetch(source, "train", None), cache.fetch(source, "test", None)
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def shared_cache(whole, cache_home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(whole[0]))


def test_sizes(whole):
    _, train, test = whole
    assert train.images.shape == (50000, 32, 32, 3)
    assert test.images.shape == (10000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(train.labels), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(test.labels), [1000] * 10)


def test_channel_means_are_the_known_ones(whole):
    means = whole[1].images.mean(axis=(0, 1, 2), dtype=float) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=2e-3)


@pytest.mark.parametrize(("split", "position"), [("train", 1), ("test", 2)])
def test_images_and_labels_equal_those_of_tensorflow_datasets(whole, cifar10_dir, split, position):
    with tfds.quiet():
        import tensorflow_datasets

        data = tensorflow_datasets.data_source("cifar10", split=split, data_dir=cifar10_dir)
        rows = np.linspace(0, len(data) - 1, 200).astype(int).tolist()
        records = data.__getitems__(rows)
    np.testing.assert_array_equal(whole[position].images[rows], [record["image"] for record in records])
    np.testing.assert_array_equal(whole[position].labels[rows], [record["label"] for record in records])


def test_subsets_and_standardisation(cifar10_dir):
    dataset = load("cifar10", train=2000, validation=1005, data_dir=cifar10_dir)
    np.testing.assert_array_equal(np.bincount(dataset.train_labels), [200] * 10)
    assert np.ptp(np.bincount(dataset.validation_labels)) == 1
    np.testing.assert_allclose(dataset.train_images.mean(axis=(0, 1, 2), dtype=float), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train_images.std(axis=(0, 1, 2), dtype=float), 1, atol=1e-5)
    assert np.ptp(np.bincount(dataset.train_labels[:256])) <= 1
    images, labels = dataset.test()
    assert (images.shape, images.dtype, labels.dtype) == ((10000, 32, 32, 3), np.float32, np.int32)
    np.testing.assert_allclose(images.mean(dtype=float), 0, atol=0.05)


def test_a_cached_set_is_loaded_without_tensorflow_datasets(cifar10_dir):
    program = (
        "import sys, rwejax.data\n"
        f"print(rwejax.data.load('cifar10', train=100, validation=100, data_dir={cifar10_dir!r}))\n"
        "sys.exit('tensorflow_datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "image_shape=(32, 32, 3)" in done.stdout
