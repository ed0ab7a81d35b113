"""What a page says of images: read by its code, a file becomes what the training saw."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from rwejax import Card, data
from rwejax.data import crops
from rwejax.exporting.card import preprocessing, to_json, to_markdown

NAMES = ["ant", "bee | wasp", "cat"]


def card(shape, cropped=False, names=NAMES):
    return Card(
        space="macro",
        architecture="1",
        sizes={},
        classes=len(names),
        macs=1,
        params=1,
        objectives={},
        dataset="folder:insects",
        mean=(1.0,) * shape[2],
        std=(2.0,) * shape[2],
        metrics={},
        provenance={},
        class_names=names,
        cropped=cropped,
        preprocessing=preprocessing(shape, cropped),
    )


def read_as_told(shape, path, cropped=False):
    page = to_markdown(card(shape, cropped), shape, ["cpu"])
    scope = {}
    (code,) = re.findall("```py\n(.*?)```", page, re.DOTALL)
    exec(code.replace("image.png", str(path)), scope)
    return scope["pixels"]


RNG = np.random.default_rng(0)


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


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_a_file_is_read_as_the_training_read_it(tmp_path, mode):
    path = save(tmp_path, mode)
    dataset = data.load(f"folder:{tmp_path}", train=2, validation=2, image_size=12)
    expected = np.rint(dataset.train_images[:1] * dataset.std + dataset.mean)
    assert dataset.image_shape[2] == (1 if mode in ("L", "LA") else 3)
    np.testing.assert_array_equal(read_as_told(dataset.image_shape, path), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_streamed_file_too(tmp_path, mode):
    path = save(tmp_path, mode)
    np.testing.assert_array_equal(read_as_told((14, 14, 3), path, cropped=True)[0], crops.centre_crop(path, 14))


def test_names_of_classes():
    shape = (8, 8, 1)
    facts = json.loads(to_json(card(shape), shape))
    assert facts["class_names"] == NAMES
    assert facts["preprocessing"]["mode"] == "L"
    page = to_markdown(card(shape), shape, ["cpu"])
    assert "| 1 | bee \\| wasp |" in page
    many = to_markdown(card(shape, names=[f"kind{i}" for i in range(150)]), shape, ["cpu"])
    assert "| 99 | kind99 |\n| | and 50 more, in card.json |" in many
    assert "kind100" not in many
