import numpy as np
import pytest
from PIL import Image

from rwejax.data import load
from rwejax.errors import InputError


def pixels(images, dataset):
    """Undoes the standardisation."""
    return np.rint(images * dataset.std + dataset.mean).astype(int)


def test_images_and_labels_are_those_in_the_files(image_folder):
    root, written = image_folder
    dataset = load(f"folder:{root}", train=12, validation=12)
    assert (dataset.classes, dataset.image_shape) == (3, (10, 12, 3))
    test_images, test_labels = dataset.test()
    assert len(test_labels) == 6
    images = np.concatenate([dataset.train_images, dataset.validation_images, test_images])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels, test_labels])
    classes = ["apple", "bean", "cherry"]
    known = {tuple(image.astype(int).ravel()): classes.index(kind) for (kind, _), image in written.items()}
    found = [tuple(image.ravel()) for image in pixels(images, dataset)]
    assert set(found) == set(known)
    assert [known[image] for image in found] == labels.tolist()


def test_the_test_part_is_the_same_for_every_seed(image_folder):
    one = load(f"folder:{image_folder[0]}", train=12, validation=12)
    other = load(f"folder:{image_folder[0]}", train=6, validation=6, seed=5)
    np.testing.assert_array_equal(pixels(one.test()[0], one), pixels(other.test()[0], other))


def test_resized_as_pillow_does_with_antialiasing(image_folder):
    root, written = image_folder
    dataset = load(f"folder:{root}", train=18, validation=6, image_size=5)
    assert dataset.image_shape == (5, 5, 3)
    known = {
        tuple(np.asarray(Image.fromarray(image).resize((5, 5), Image.Resampling.BILINEAR)).astype(int).ravel())
        for image in written.values()
    }
    assert {tuple(image.ravel()) for image in pixels(dataset.train_images, dataset)} <= known


def test_every_format_and_mode_becomes_rgb(tmp_path):
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for suffix in ("png", "jpg", "jpeg", "bmp", "webp", "gif"):
            base.save(tmp_path / kind / f"rgb.{suffix}")
        base.convert("L").save(tmp_path / kind / "GREY.PNG")
        base.convert("RGBA").save(tmp_path / kind / "alpha.png")
        base.convert("CMYK").save(tmp_path / kind / "cmyk.jpg")
        base.convert("P").save(tmp_path / kind / "palette.png", transparency=bytes(range(256)))
        (tmp_path / kind / "notes.txt").write_text("ignored")
        (tmp_path / kind / ".hidden.png").write_text("ignored")
    (tmp_path / ".thumbnails").mkdir()
    dataset = load(f"folder:{tmp_path}", train=8, validation=8)
    assert dataset.image_shape == (8, 8, 3)
    assert len(dataset.test()[1]) == 4


def test_a_photograph_is_turned_upright(tmp_path):
    stored = np.zeros((8, 8, 3), np.uint8)
    stored[:, :4] = 255  # left half white, and to be turned by a quarter clockwise: upper half white
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.fromarray(stored).save(tmp_path / kind / f"{i}.png", exif=exif)
    dataset = load(f"folder:{tmp_path}", train=2, validation=2)
    np.testing.assert_array_equal(pixels(dataset.train_images, dataset)[0, :, :, 0], np.transpose(stored[..., 0]))


def test_constant_images_are_not_divided_by_zero(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new("RGB", (8, 8), (0, 100, 255)).save(tmp_path / kind / f"{i}.png")
    dataset = load(f"folder:{tmp_path}", train=2, validation=2)
    np.testing.assert_array_equal(dataset.train_images, 0)
    np.testing.assert_array_equal(dataset.std, 1)


def test_unequal_classes_fill_up(tmp_path):
    for kind, count in (("rare", 4), ("common", 40)):
        (tmp_path / kind).mkdir()
        for i in range(count):
            Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / kind / f"{i}.png")
    dataset = load(f"folder:{tmp_path}", train=20, validation=10)
    counts = [np.bincount(labels).tolist() for labels in (dataset.train_labels, dataset.validation_labels)]
    assert counts == [[18, 2], [9, 1]]
    with pytest.raises(InputError, match="has 35 images to draw from, 3 in its smallest class"):
        load(f"folder:{tmp_path}", train=30, validation=10)


def test_images_of_several_sizes_need_an_image_size(image_folder):
    root, _ = image_folder
    Image.new("RGB", (20, 20)).save(root / "cherry" / "large.png")
    with pytest.raises(InputError, match=r"several sizes, 12x10 and 20x20 \(image '.*large.png'\): give an image_size"):
        load(f"folder:{root}", train=12, validation=6)
    assert load(f"folder:{root}", train=12, validation=6, image_size=8).image_shape == (8, 8, 3)


@pytest.mark.parametrize("side", [3, 513])
def test_images_too_small_or_too_large_need_an_image_size(tmp_path, side):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new("RGB", (side, side)).save(tmp_path / kind / f"{i}.png")
    with pytest.raises(InputError, match=rf"{side}x{side} pixels .* out of range: give an image_size from 4 to 512"):
        load(f"folder:{tmp_path}", train=2, validation=2)


def test_a_deep_image_is_refused(image_folder):
    root, _ = image_folder
    Image.fromarray(np.full((10, 12), 40000, np.uint16)).save(root / "bean" / "deep.png")
    with pytest.raises(InputError, match=r"image '.*deep.png' of dataset .* does not have 8-bit pixels; convert it"):
        load(f"folder:{root}", train=12, validation=6)


def broken(root):
    (root / "bean" / "broken.jpg").write_bytes(b"no image")


def truncated(root):
    path = root / "bean" / "3.png"
    path.write_bytes(path.read_bytes()[:200])


def empty(root):
    (root / "empty").mkdir()


def one_class(root):
    for path in root.iterdir():
        if path.name != "apple":
            path.rename(root.parent / path.name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (broken, r"image '.*broken.jpg' .* is broken or no image; remove or replace it"),
        (truncated, r"image '.*3.png' .* is broken or no image; remove or replace it"),
        (empty, r"class folder 'empty' .* holds no images .* move the folder elsewhere"),
        (one_class, r"only the class folder 'apple': put the images into one folder a class"),
    ],
)
def test_a_damaged_folder(image_folder, damage, message):
    root, _ = image_folder
    damage(root)
    with pytest.raises(InputError, match=message) as caught:
        load(f"folder:{root}", train=12, validation=6)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_folder_of_classes(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "nothing").mkdir()
    for path, message in [
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "file", "is not a folder but a file"),
        (tmp_path / "nothing", "holds no class folders"),
        ("", "names no folder"),
    ]:
        with pytest.raises(InputError, match=message):
            load(f"folder:{path}", train=2, validation=2)


def test_an_unreadable_folder(image_folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(InputError, match=r"is unreadable, because '.*pictures' may not be read"):
        load(f"folder:{image_folder[0]}", train=2, validation=2)
