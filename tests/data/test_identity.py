"""What a dataset is known by: the names of its classes, and a fingerprint of what a run sees."""

import shutil

import numpy as np
import pytest
from PIL import Image

from rwejax import data


@pytest.fixture
def load():
    return lambda root, **options: data.load(f"folder:{root}", **{"train": 18, "validation": 6, **options})


@pytest.fixture
def stream():
    return lambda root: data.stream(f"folder:{root}", image_size=8)


def test_numbers_in_class_names_are_sorted_by_value(tmp_path, load):
    names = ["1", "2", "10", "a2", "a10", "b"]
    for name in names:
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("RGB", (4, 4), (names.index(name), i, 0)).save(tmp_path / name / f"{i}.png")
    dataset = load(tmp_path, train=12, validation=6)
    assert dataset.class_names == tuple(names)
    red = np.rint(dataset.train_images[:, 0, 0, 0] * dataset.std[0] + dataset.mean[0])
    np.testing.assert_array_equal(red, dataset.train_labels)
    assert dataset.class_counts == (3,) * 6


def test_digits_and_public_sets_have_names(shapes_dir):
    assert data.load("digits", train=20, validation=10).class_names == tuple("0123456789")
    plain = data.load("rwe_shapes/plain", train=6, validation=3, data_dir=shapes_dir)
    assert plain.class_names == ("0", "1", "2")
    assert data.stream("rwe_shapes/plain", data_dir=shapes_dir).class_names == ("0", "1", "2")


def test_a_name_that_is_not_utf8_can_be_written(image_folder, load):
    root, _ = image_folder
    try:
        (root / "bean").rename(root / b"b\xffan".decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system has no such names")
    names = load(root).class_names
    assert names == ("apple", r"b\xffan", "cherry")
    "".join(names).encode()


def add_class(root):
    shutil.copytree(root / "bean", root / "durian")


def rename_class(root):
    (root / "bean").rename(root / "beans")


def change_pixel(root):
    for path in root.glob("*/*.png"):
        pixels = np.array(Image.open(path))
        pixels[0, 0, 0] ^= 1
        Image.fromarray(pixels).save(path)


def swap_labels(root):
    for old, new in (("bean", "x"), ("apple", "bean"), ("x", "apple")):
        (root / old).rename(root / new)


@pytest.mark.parametrize("change", [add_class, rename_class, change_pixel, swap_labels])
@pytest.mark.parametrize("kind", ["load", "stream"])
def test_the_fingerprint_follows_the_content_and_not_the_place(image_folder, tmp_path, request, change, kind):
    find = request.getfixturevalue(kind)
    root, _ = image_folder
    before = find(root).fingerprint
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(root, moved, copy_function=shutil.copyfile)  # with new times
    assert find(moved).fingerprint == before
    change(moved)
    if kind == "stream":  # which tells files apart by their sizes, and those of noise are equal
        for path in (moved / "apple").iterdir():
            path.write_bytes(path.read_bytes() + b"\0")
    assert find(moved).fingerprint != before


def test_the_fingerprint_is_of_the_images_drawn(image_folder, load):
    root, _ = image_folder
    assert load(root, seed=1).fingerprint != load(root).fingerprint
    assert load(root, image_size=8).fingerprint != load(root).fingerprint


def test_a_public_set_is_known_wherever_it_lies(shapes_dir, tmp_path):
    shutil.copytree(shapes_dir, tmp_path / "copy", copy_function=shutil.copyfile)
    for find, options in ((data.load, {"train": 6, "validation": 3}), (data.stream, {})):
        one, other = (find("rwe_shapes/plain", data_dir=at, **options) for at in (shapes_dir, tmp_path / "copy"))
        assert one.fingerprint == other.fingerprint
