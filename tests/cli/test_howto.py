"""A reader copies the code of the how-to pages and types their commands."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors.flax import load_file

from rwejax import data, networks, plugins, spaces
from rwejax.evaluate import estimators
from rwejax.searching.config import SearchConfig
from rwejax.storage.yaml_config import read_config
from tests import fakes, pages
from tests.cli import commands

IMAGES = "--train-images 30 --validation-images 20 --image-size 8"
TINY = {
    "search": f"{IMAGES} --population-size 4 --generations 2 --channels 2 --training-minutes 0",
    "train": "--train-images 128 --validation-images 20 --epochs 1",
    "export": "",
    "correlate": "--sample 5 --images 20 --image-size 8 --channels 2 --output table.csv",
}

# In a folder of an exported network, where rwejax cannot be imported.
READER = """
import sys
sys.modules["rwejax"] = None
sys.path.insert(0, ".")
import numpy as np
from network import Network, load
np.save("logits.npy", Network().apply(load("weights.safetensors"), np.load("images.npy")))
"""


@pytest.fixture
def shell(monkeypatch, tmp_path, capfd):
    """Types a command of a page, made tiny: standard output of one that ends well."""
    monkeypatch.setattr("rwejax.runtime.devices.use_all_cores", lambda: None)  # only at the start of a process
    monkeypatch.chdir(tmp_path)

    def call(words):
        command, *flags = words
        tiny = [] if "--resume" in flags else TINY[command].split()
        code, out, err = commands.caller(commands.load(command), monkeypatch, capfd)(*tiny, *flags)
        assert (code, err) == (0, ""), words
        return out

    return call


def write_truth(space):
    genomes = space.canonical(np.asarray(space.sample(jax.random.key(0), 12)))
    texts = dict.fromkeys(space.to_string(genome) for genome in genomes)
    lines = [f'"{text}",{80 + place}\n' for place, text in enumerate(texts)]
    with open("accuracies.csv", "w") as file:
        file.writelines(["architecture,accuracy\n", *lines])


@pytest.mark.slow
def test_a_space_of_ones_own(shell, tmp_path):
    (code,) = pages.blocks("how-to/own-space.md", "python")
    (tmp_path / "ladder.py").write_text(code)
    write_truth(spaces.get(pages.ladder()))
    typed = pages.commands("how-to/own-space.md")
    assert [words[0] for words in typed] == ["search", "search", "train", "export", "correlate"]

    outputs = [shell(words) for words in typed]

    assert outputs[0].startswith("searching Ladder on digits: 2 generations of 4 genomes")
    assert "front: " in outputs[1]
    config = read_config(tmp_path / "found" / "config.yaml", SearchConfig())
    assert config.space.startswith(f"{tmp_path / 'ladder.py'}:Ladder@")
    assert config.channels == 2
    assert "training a Ladder network of" in outputs[2]
    card = json.loads((tmp_path / "my-network" / "card.json").read_text())
    assert card["space"] == "ladder"
    assert {line.split(",")[0] for line in (tmp_path / "table.csv").read_text().splitlines()} == {
        "estimator",
        "nwot",
        "macs",
    }

    space = spaces.get("ladder", channels=2, input_shape=tuple(card["image_shape"]), classes=card["classes"])
    module = networks.build(space, space.from_string(card["architecture"]))
    images = np.random.default_rng(0).normal(size=(3, *space.input_shape)).astype(np.float32)
    folder = tmp_path / "my-network"
    np.save(folder / "images.npy", images)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-I", "-B", "-c", READER], check=True, cwd=folder, env=environment)
    scope = {}
    exec((folder / "network.py").read_text(), scope)
    variables = scope["load"](str(folder / "weights.safetensors"))
    assert len(load_file(folder / "weights.safetensors")) == len(jax.tree.leaves(variables))
    np.testing.assert_allclose(np.load(folder / "logits.npy"), module.apply(variables, images), rtol=1e-4, atol=1e-4)


def test_the_code_of_the_pages_is_loaded_and_runs(tmp_path):
    """By itself; with the pages' commands it runs every night."""
    (tmp_path / "images.py").write_text(*pages.blocks("how-to/own-images.md", "python"))
    labels = np.arange(60) % 2
    np.savez(tmp_path / "scans.npz", images=np.zeros((60, 10, 10, 1), np.uint8) + 200, labels=labels)
    plugins.load(f"{tmp_path / 'images.py'}:scans")
    dataset = data.load(f"{tmp_path / 'images.py'}:scans", train=20, validation=20, image_size=8)
    assert dataset.class_names == ("cell", "debris")

    (tmp_path / "mine.py").write_text("\n\n".join(pages.blocks("how-to/own-estimator.md", "python")))
    names = ["zen", "zen_wide", "directions"]
    for name in names:
        plugins.load(f"{tmp_path / 'mine.py'}:{name}")
    estimators.register_references(",".join(f"{tmp_path / 'mine.py'}:{name}" for name in names))
    assert {*names} <= {*estimators.names()}
    digits = data.load("digits", train=40, validation=20, image_size=8)
    space = spaces.get("macro", nodes=2, channels=2, input_shape=digits.image_shape, classes=digits.classes)
    genomes = space.sample(jax.random.key(0), 3)
    values = estimators.get("directions", space, digits, images=30)(jax.random.key(1), genomes)
    assert (values > 0).all()
    assert (values <= 30).all()


@pytest.mark.slow
def test_images_of_ones_own(shell, tmp_path, monkeypatch):
    fakes.use(monkeypatch)
    (code,) = pages.blocks("how-to/own-images.md", "python")
    (tmp_path / "mine.py").write_text(code)
    labels = np.arange(240) % 2
    pixels = np.random.default_rng(0).integers(0, 100, (240, 10, 10, 1)) + 120 * labels[:, None, None, None]
    np.savez(tmp_path / "scans.npz", images=pixels.astype(np.uint8), labels=labels)
    typed = pages.commands("how-to/own-images.md")
    assert [words[0] for words in typed] == ["search", "search", "train", "export", "export"]

    for words in typed:
        shell(words)

    config = read_config(tmp_path / "found" / "config.yaml", SearchConfig())
    assert config.dataset.startswith(f"{tmp_path / 'mine.py'}:scans@")
    for folder, metric in (("my-network", "test accuracy (%)"), ("not-trained", "epochs")):
        card = json.loads((tmp_path / folder / "card.json").read_text())
        assert card["class_names"] == ["cell", "debris"]
        assert metric in card["metrics"]


@pytest.mark.slow
def test_an_estimator_of_ones_own(shell, tmp_path):
    (tmp_path / "mine.py").write_text("\n\n".join(pages.blocks("how-to/own-estimator.md", "python")))
    write_truth(spaces.get("macro", nodes=3))
    typed = pages.commands("how-to/own-estimator.md")
    assert [words[0] for words in typed] == ["correlate", "search", "search", "search"]

    for words in typed:
        shell(words)
    wide = [word.replace("mine.py:zen,nwot,macs", "mine.py:zen_wide") for word in typed[0]]
    shell([*wide, "--output", "wide.csv"])

    for file, names in (("table", "zen,nwot,macs"), ("wide", "zen_wide")):
        header, *rows = (tmp_path / f"{file}.scores.csv").read_text().splitlines()
        assert header == f"architecture,accuracy,{names}"
        assert len(rows) == 5
        assert "nan" not in "".join(rows)
    lines = [json.loads(line) for line in (tmp_path / "found" / "evaluations.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    for line in lines:
        assert line["objectives"][:2] == [-line["nwot"], -line["zen"]]
    for line in map(json.loads, (tmp_path / "both" / "evaluations.jsonl").read_text().splitlines()):
        assert line["objectives"][:2] == [-line["directions"], -line["fit_path"]]
        assert 0 < line["directions"] <= 30, "there are so many images"
