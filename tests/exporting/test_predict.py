"""Predictions of an exported network, and of what is none."""

import csv

import numpy as np
import pytest
from PIL import Image

from rwejax import data
from rwejax.data import crops, images
from rwejax.exporting import predict

RNG = np.random.default_rng(0)
NAMES = ["ant", "bee", "cat"]


def card(shape, cropped=False, names=NAMES):
    channels = shape[2]
    moments = {"mean": [100.0] * channels, "std": [50.0] * channels}
    return {"image_shape": shape, "cropped": cropped, "classes": 3, "class_names": names, **moments}


def save(folder, mode, count=3):
    """Two classes of one noise image each, larger than wide, of one mode."""
    pixels = RNG.integers(0, 256, (30, 20, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("LA").convert(mode) if mode in ("L", "LA") else Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("a", "b"):
        (folder / kind).mkdir()
        for number in range(count):
            image.convert(mode).save(folder / kind / f"{number}.png", exif=exif)
    return folder / "a" / "0.png"


def mean_of_channels(images):
    """A network whose logits are 9 for the class of the brightest channel."""
    return 9 * (images.mean((1, 2)) == images.mean((1, 2)).max(1, keepdims=True))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_a_file_is_read_as_the_training_read_it(tmp_path, mode):
    path = save(tmp_path, mode)
    dataset = data.load(f"folder:{tmp_path}", train=2, validation=2, image_size=12)
    expected = np.rint(dataset.train_images[0] * dataset.std + dataset.mean)
    assert dataset.image_shape[2] == (1 if mode in ("L", "LA") else 3)
    np.testing.assert_array_equal(predict.read(path, card(dataset.image_shape)), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_streamed_file_too(tmp_path, mode):
    path = save(tmp_path, mode)
    np.testing.assert_array_equal(predict.read(path, card((14, 14, 3), True)), crops.centre_crop(path, 14))


def test_a_file_with_transparency(tmp_path):
    path = save(tmp_path, "RGBA")
    with Image.open(path) as image:
        upright = np.rot90(np.asarray(image), -1)
    np.testing.assert_array_equal(predict.read(path, card((12, 12, 4))), images.resize(upright, 12))


def test_more_images_than_are_computed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 4)
    (tmp_path / "photographs" / "more").mkdir(parents=True)
    (tmp_path / "photographs" / "notes.txt").write_text("no image")
    for number in range(6):
        colour = [0, 0, 0]
        colour[number % 3] = 200
        name = f"more/{number}.png" if number == 5 else f"{number}.png"
        Image.new("RGB", (9, 9), tuple(colour)).save(tmp_path / "photographs" / name)
    shown, sizes = [], []

    def infer(batch):
        sizes.append(len(batch))
        return mean_of_channels(batch)

    predict.run(infer, card((8, 8, 3)), [tmp_path / "photographs"], tmp_path / "table.csv", shown.append)

    probability = np.exp(9) / (np.exp(9) + 2)
    assert shown[1] == f"1.png       bee {probability:.2f}"
    assert shown[-1] == f"more/5.png  cat {probability:.2f}"
    assert sizes == [4, 4]
    with open(tmp_path / "table.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["ant", "bee", "cat", "ant", "bee", "cat"]
    assert [float(row["probability"]) for row in rows] == pytest.approx([probability] * 6)
    with pytest.raises(predict.Unusable, match="exists: give another file"):
        predict.run(infer, card((8, 8, 3)), [tmp_path / "photographs"], tmp_path / "table.csv")
    with pytest.raises(predict.Unusable, match="cannot be written"):
        predict.run(infer, card((8, 8, 3)), [tmp_path / "photographs"], tmp_path / "missing" / "table.csv")


def test_classes_without_names(tmp_path):
    Image.new("RGB", (8, 8), "lime").save(tmp_path / "leaf.png")
    (found,) = predict.predict(mean_of_channels, card((8, 8, 3), names=[]), [("leaf", tmp_path / "leaf.png")])
    assert found[:2] == ("leaf", "1")


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "empty").mkdir()
    shape = (8, 8, 3)
    for call, words in (
        (lambda: predict.read(tmp_path / "broken.png", card(shape)), "broken.png' is missing, broken or no image"),
        (lambda: predict.read(tmp_path / "none.png", card(shape)), "none.png' is missing, broken or no image"),
        (lambda: predict.read(tmp_path / "deep.png", card(shape)), "has pixels of the kind I;16: convert it"),
        (lambda: predict.read(tmp_path / "deep.png", card((8, 8, 2))), "reads images of 2 channels"),
        (lambda: predict.find([tmp_path / "nowhere"]), "nowhere' does not exist"),
        (lambda: predict.find([tmp_path / "empty"]), "empty' holds no images"),
    ):
        with pytest.raises(predict.Unusable, match=words):
            call()
