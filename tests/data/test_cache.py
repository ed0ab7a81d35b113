import os

import numpy as np
import pytest
from PIL import Image

from rwejax.data import cache, load
from rwejax.data.images import Split
from rwejax.data.sources import Source


def source(fingerprint="0" * 16):
    """A source that counts how often it is read."""
    calls = []

    def read(split, image_size):
        calls.append((split, image_size))
        images = np.arange(4 * 5 * 5 * 3, dtype=np.uint8).reshape(4, 5, 5, 3)
        return Split(images, np.array([0, 1, 1, 0], np.int32), ("no", "yes"))

    return Source("shapes", "/somewhere", fingerprint, "test", read), calls


def cached(home):
    return sorted(path for path in home.rglob("*") if path.is_file())


def test_the_second_read_comes_from_disk_unchanged(cache_home):
    shapes, calls = source()
    first, second = cache.fetch(shapes, "train", None), cache.fetch(shapes, "train", None)
    assert calls == [("train", None)]
    assert isinstance(second.images, np.memmap)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.class_names == second.class_names == ("no", "yes")
    assert [path.suffix for path in cached(cache_home)] == [".npy"] * 3


def test_splits_sizes_and_states_are_kept_apart(cache_home):
    shapes, calls = source()
    for split, size in [("train", None), ("test", None), ("train", 8)] * 2:
        cache.fetch(shapes, split, size)
    assert calls == [("train", None), ("test", None), ("train", 8)]
    changed, changed_calls = source(fingerprint="1" * 16)
    cache.fetch(changed, "train", None)
    assert changed_calls == [("train", None)]
    assert len(cached(cache_home)) == 9, "the files of the state that is gone should be gone as well"


@pytest.mark.parametrize("field", [0, 1, 2])
@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00v\x00{'descr", b"garbage" * 100])
def test_a_broken_cache_is_rewritten(cache_home, field, damage):
    shapes, calls = source()
    whole = cache.fetch(shapes, "train", None)
    cached(cache_home)[field].write_bytes(damage)
    again = cache.fetch(shapes, "train", None)
    np.testing.assert_array_equal(whole.images, again.images)
    np.testing.assert_array_equal(whole.labels, again.labels)
    cache.fetch(shapes, "train", None)
    assert len(calls) == 2


def test_a_cut_cache_is_rewritten(cache_home):
    shapes, calls = source()
    cache.fetch(shapes, "train", None)
    images = next(path for path in cached(cache_home) if "images" in path.name)
    os.truncate(images, images.stat().st_size - 1)
    cache.fetch(shapes, "train", None)
    assert len(calls) == 2


def test_pickled_objects_are_not_loaded(cache_home):
    shapes, calls = source()
    cache.fetch(shapes, "train", None)
    labels = next(path for path in cached(cache_home) if "labels" in path.name)
    np.save(labels, np.array([0, "one", None], dtype=object), allow_pickle=True)
    cache.fetch(shapes, "train", None)
    assert len(calls) == 2


def test_without_a_place_to_write_all_works_uncached(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    shapes, calls = source()
    for _ in range(2):
        assert cache.fetch(shapes, "train", None).images.shape == (4, 5, 5, 3)
    assert len(calls) == 2


def test_a_full_disk_leaves_nothing_behind(cache_home, monkeypatch):
    def full(file, array, allow_pickle):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    shapes, _ = source()
    assert cache.fetch(shapes, "train", None).classes == 2
    assert cached(cache_home) == []


def test_a_relative_cache_home_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cache.fetch(source()[0], "train", None)
    assert len(cached(tmp_path / ".cache" / "rwejax")) == 3
    assert not (tmp_path / "here").exists()


def test_a_folder_is_read_anew_once_a_file_changes(image_folder):
    root, _ = image_folder
    before = load(f"folder:{root}", train=24 - 3, validation=3)
    again = load(f"folder:{root}", train=24 - 3, validation=3)
    np.testing.assert_array_equal(before.train_images, again.train_images)
    for path in root.glob("*/*.png"):
        Image.new("RGB", (12, 10), (9, 9, 9)).save(path)
    after = load(f"folder:{root}", train=24 - 3, validation=3)
    np.testing.assert_array_equal(after.mean, 9)
