"""What is read of the files in a folder, and what is said of the others."""

import os

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from rwejax import data
from rwejax.data import files
from rwejax.errors import InputError

TWO = {"train": 2, "validation": 2}


def fill(root, make, kinds=("a", "b"), count=3):
    """Images of classes; `make` is told the number of an image and where it goes, without suffix."""
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for i in range(count):
            make(i, root / kind / str(i))
    return f"folder:{root}"


def pixels(dataset):
    return np.rint(dataset.train_images * dataset.std + dataset.mean).astype(int)


NOISE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("tif", {}),
        ("tiff", {"compression": "tiff_lzw"}),
        ("TIF", {}),
        ("ppm", {}),
        ("tga", {}),
        ("pcx", {}),
        ("jfif", {"format": "jpeg"}),
        ("jp2", {}),
        ("qoi", {}),
        ("apng", {"format": "png"}),
        ("dib", {}),
    ],
)
def test_whatever_pillow_reads(tmp_path, suffix, options):
    dataset = data.load(
        fill(tmp_path, lambda i, path: Image.fromarray(NOISE).save(f"{path}.{suffix}", **options)), **TWO
    )
    reread = np.asarray(Image.open(tmp_path / "a" / f"0.{suffix}").convert("RGB")).astype(int)
    np.testing.assert_array_equal(pixels(dataset), np.broadcast_to(reread, (2, 8, 8, 3)))


def test_files_without_pixels_are_no_images():
    assert not {".pdf", ".eps", ".ps", ".h5", ".mpg", ".wmf", ".txt", ""} & files.suffixes()
    assert {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif"} <= files.suffixes()


def test_images_below_a_class_folder_are_found_once_and_the_rest_is_counted(tmp_path):
    name = fill(tmp_path, lambda i, path: Image.new("RGB", (4, 4), (i, 0, 0)).save(f"{path}.png"))
    deep = tmp_path / "a" / "2024" / "may"
    deep.mkdir(parents=True)
    for i in range(4):
        Image.new("RGB", (4, 4), (100 + i, 0, 0)).save(deep / f"{i}.tif")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")  # without an end, were it followed
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for junk in ("notes.txt", "table.csv", "more.TXT", "README"):
        (tmp_path / "b" / junk).write_text("no image")
    Image.new("RGB", (4, 4)).save(tmp_path / "loose.png")
    (tmp_path / "b" / ".DS_Store").write_text("hidden")
    dataset = data.load(name, train=4, validation=4)
    assert dataset.test_count + len(data.load(name, train=None, validation=2).train_labels) + 2 == 10
    assert dataset.left_out == (
        "1 file of type .csv, 2 files of type .txt, 1 file of type none, 1 image outside the class folders, "
        "1 link to nothing"
    )
    assert f"\nleft out: {dataset.left_out}" in dataset.summary


def test_a_folder_in_order_leaves_nothing_out(image_folder):
    dataset = data.load(f"folder:{image_folder[0]}", train=18, validation=6)
    assert dataset.left_out == ""
    assert dataset.summary.splitlines() == [
        "30 images in 3 classes: 18 train, 6 validation, 6 test",
        "6 validation images: an accuracy in steps of 17 points",
        "6 test images: an accuracy in steps of 17 points",
    ]


def logo(mode):
    """A black square on nothing, in the middle of 8x8 pixels."""
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    image = Image.merge("LA", [Image.new("L", (8, 8)), Image.fromarray(alpha)])
    return image if mode == "LA" else image.convert("RGBA").convert(mode) if mode == "PA" else image.convert(mode)


EXPECTED = np.full((8, 8), 255)
EXPECTED[2:6, 2:6] = 0


@pytest.mark.parametrize(("mode", "suffix"), [("LA", "png"), ("RGBA", "png"), ("RGBA", "webp"), ("RGBA", "tif")])
def test_a_black_logo_on_nothing_is_laid_on_white(tmp_path, mode, suffix):
    dataset = data.load(fill(tmp_path, lambda i, path: logo(mode).save(f"{path}.{suffix}", lossless=True)), **TWO)
    assert dataset.image_shape == (8, 8, 1)
    np.testing.assert_array_equal(pixels(dataset)[0, :, :, 0], EXPECTED)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_one_transparent_colour_is_white(tmp_path, mode):
    image = Image.fromarray(np.uint8(EXPECTED == 0) * 9).convert(mode)
    if mode == "P":
        image = Image.fromarray(np.uint8(EXPECTED == 0)).convert("P")
        image.putpalette([0, 0, 0, 9, 9, 9])
    clear = (0, 0, 0) if mode == "RGB" else 0
    dataset = data.load(fill(tmp_path, lambda i, path: image.save(f"{path}.png", transparency=clear)), **TWO)
    np.testing.assert_array_equal(pixels(dataset)[0, :, :, 0], np.where(EXPECTED == 0, 9, 255))


def test_streams_lay_on_white_as_well(tmp_path):
    stream = data.stream(fill(tmp_path, lambda i, path: logo("RGBA").save(f"{path}.png"), count=6), image_size=8)
    images, _ = next(stream.batches("test", 1))
    assert images[0, 0, 0].tolist() == [255, 255, 255]
    assert images[0, 4, 4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_grey_images_have_one_channel_whatever_they_are_stored_as(tmp_path, mode):
    grey = Image.fromarray(NOISE[..., 0])
    expected = np.asarray(grey.convert(mode).convert("L")).astype(int)
    suffix = "tif" if mode == "CMYK" else "png"
    dataset = data.load(fill(tmp_path, lambda i, path: grey.convert(mode).save(f"{path}.{suffix}")), **TWO)
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.grey
    np.testing.assert_array_equal(pixels(dataset)[0, :, :, 0], expected)


def test_one_coloured_pixel_makes_a_folder_of_colours(tmp_path):
    name = fill(tmp_path, lambda i, path: Image.fromarray(NOISE[..., 0]).save(f"{path}.png"))
    image = Image.fromarray(NOISE[..., 0]).convert("RGB")
    image.putpixel((7, 7), (1, 2, 3))
    image.save(tmp_path / "b" / "2.png")
    assert data.load(name, **TWO).image_shape == (8, 8, 3)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    name = fill(tmp_path, lambda i, path: frames[0].save(f"{path}.gif", save_all=True, append_images=frames[1:]))
    assert pixels(data.load(name, **TWO))[0, 0, 0].tolist() == [250, 0, 0]


def test_an_image_larger_than_pillow_reads_is_named_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    name = fill(tmp_path, lambda i, path: Image.new("RGB", (10, 15), (i, 9, 0)).save(f"{path}.png"))
    assert data.load(name, **TWO, image_size=8).image_shape == (8, 8, 3)  # of which Pillow would only warn
    Image.new("RGB", (20, 30)).save(tmp_path / "b" / "2.png")
    with pytest.raises(
        InputError, match=r"image '.*2.png' .* has 600 pixels, and Pillow reads 200 at most; make it sm"
    ):
        data.load(name, **TWO, image_size=8)


@pytest.mark.parametrize("mode", ["I", "I;16", "F", "LAB"])
def test_pixels_that_are_not_of_8_bits_or_no_colours(tmp_path, mode):
    name = fill(tmp_path, lambda i, path: Image.new(mode, (8, 8)).save(f"{path}.tif"))
    with pytest.raises(InputError, match=r"image '.*0.tif' of dataset .*; convert it"):
        data.load(name, **TWO)


def test_a_tiff_with_an_orientation_is_turned_once(tmp_path):
    stored = np.zeros((8, 8, 3), np.uint8)
    stored[:, :4] = 255, 9, 9
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = 6
    dataset = data.load(
        fill(tmp_path, lambda i, path: Image.fromarray(stored).save(f"{path}.tif", tiffinfo=tags)), **TWO
    )
    np.testing.assert_array_equal(pixels(dataset)[0], np.transpose(stored, (1, 0, 2)))


def layout(root, names, counts=(5, 4, 3)):
    """Folders of splits, each with two classes; the red value says the split, the green one the class."""
    for split, (home, count) in enumerate(zip(names, counts, strict=False)):
        for label, kind in enumerate(("x", "y")):
            (root / home / kind).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (4, 4), (100 * split, label, i)).save(root / home / kind / f"{i}.png")
    return f"folder:{root}"


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("training", "valid", "testing"), ("Train", "validation", "TEST")]
)
def test_folders_of_splits_are_used_as_they_are(tmp_path, names):
    dataset = data.load(layout(tmp_path, names), train=None, validation=None)
    assert dataset.class_names == ("x", "y")
    assert dataset.summary.splitlines()[0] == "24 images in 2 classes: 10 train, 8 validation, 6 test"
    test_images, test_labels = dataset.test()
    for split, (images, labels) in enumerate(
        [
            (dataset.train_images, dataset.train_labels),
            (dataset.validation_images, dataset.validation_labels),
            (test_images, test_labels),
        ]
    ):
        colours = np.rint(images[:, 0, 0] * dataset.std + dataset.mean).astype(int)
        assert set(colours[:, 0]) == {100 * split}
        np.testing.assert_array_equal(colours[:, 1], labels)
    stream = data.stream(layout(tmp_path / "again", names), image_size=8)
    assert [stream.count(split) for split in ("train", "validation", "test")] == [10, 8, 6]
    for split, name in enumerate(("train", "validation", "test")):
        assert next(stream.batches(name, 1))[0][0, 0, 0, 0] == 100 * split


@pytest.mark.parametrize(("names", "expected"), [(("train", "val"), (8, 8, 2)), (("train",), (7, 1, 2))])
def test_what_a_layout_lacks_is_taken_from_train(tmp_path, names, expected):
    dataset = data.load(layout(tmp_path, names), train=None, validation=None if len(names) > 1 else 2)
    train, validation, test = expected
    if len(names) == 1:
        train, validation = 6, 2
    assert (len(dataset.train_labels), len(dataset.validation_labels), dataset.test_count) == (train, validation, test)
    stream = data.stream(f"folder:{tmp_path}", image_size=8)
    assert (stream.count("test"), sum(map(stream.count, ("train", "validation")))) == (test, train + validation)


def test_test_images_without_classes_are_left_out_and_said_so(tmp_path):
    name = layout(tmp_path, ("train", "val"))
    (tmp_path / "test").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "test" / "unknown.png")
    (tmp_path / "annotations").mkdir()
    dataset = data.load(name, train=None, validation=None)
    assert dataset.left_out == "1 folder 'annotations' beside train, 1 folder 'test' without class folders"
    assert dataset.test_count == 2


def test_classes_may_be_called_train(tmp_path):
    for kind in ("bus", "train", "test"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new("RGB", (4, 4), (9, 0, 0)).save(tmp_path / kind / f"{i}.png")
    assert data.load(f"folder:{tmp_path}", train=3, validation=3).class_names == ("bus", "test", "train")


def test_a_class_that_only_the_test_has(tmp_path):
    name = layout(tmp_path, ("train", "val", "test"))
    os.rename(tmp_path / "test" / "y", tmp_path / "test" / "z")
    with pytest.raises(
        InputError, match=r"folder '.*test/z' of dataset .* is no class, for train has none of that name"
    ):
        data.load(name, train=None, validation=None)


def test_splits_of_which_one_is_grey(tmp_path):
    name = layout(tmp_path, ("train", "val", "test"))
    for path in (tmp_path / "val").rglob("*.png"):
        Image.new("L", (4, 4), 77).save(path)
    dataset = data.load(name, train=None, validation=None)
    np.testing.assert_allclose(dataset.validation_images * dataset.std + dataset.mean, 77, atol=1e-4)
    for path in (tmp_path / "train").rglob("*.png"):
        Image.new("L", (4, 4), 10 + int(path.stem)).save(path)
    dataset = data.load(name, train=None, validation=None)
    assert dataset.image_shape == dataset.test()[0].shape[1:] == (4, 4, 1)
