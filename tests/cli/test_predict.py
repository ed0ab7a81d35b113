"""What a user of rwejax predict sees."""

import json

import pytest
from PIL import Image

from tests.cli import commands

MOMENTS = {"mean": [1.0] * 3, "std": [1.0] * 3}
CARD = {"image_shape": [8, 8, 3], "cropped": False, "classes": 2, "class_names": [], **MOMENTS}

BAD = [
    ("no model", "nowhere image.png", "folder 'nowhere' holds no exported network"),
    ("a search", "search image.png", "'search' holds a search, of whose networks no weights are kept: train one"),
    ("a training without an epoch", "training image.png", "resume"),
    ("a damaged network", "damaged image.png", "network.stablehlo is damaged"),
    ("a damaged card", "short image.png", "card.json in folder 'short' is damaged"),
    ("no image", "damaged", "no image is named"),
]


@pytest.mark.parametrize(("words", "answer"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_answered_in_one_sentence(monkeypatch, tmp_path, capfd, words, answer):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("image.png")
    for name in ("search", "training", "damaged", "short"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.stablehlo").write_bytes(b"no network")
    (tmp_path / "search" / "evaluations.jsonl").touch()
    (tmp_path / "training" / "config.yaml").write_text("architecture: macro:2:11-10-11\nnodes: 2\n")
    (tmp_path / "damaged" / "card.json").write_text(json.dumps(CARD))
    (tmp_path / "short" / "card.json").write_text(json.dumps(CARD | {"mean": [1.0, 2.0]}))

    code, out, err = commands.caller(commands.load("predict"), monkeypatch, capfd)(*words.split())

    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert answer in err
