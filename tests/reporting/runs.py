"""Run folders that are made by hand, on what rwejax 0.1.0 has written, so that nothing is computed."""

import json
import shutil
from pathlib import Path

import numpy as np

from rwejax.searching.front import FINALIST, LABEL, PLAIN, RANDOM, find_finalists
from rwejax.searching.images import SAMPLES
from rwejax.searching.result import read_result
from rwejax.storage.contact_sheet import write_sheet
from rwejax.storage.trainings import TrainedNetwork
from rwejax.training.predictions import Collector
from rwejax.training.records import Test, to_json

OLD = Path(__file__).parents[1] / "data" / "0.1.0"
CLASSES = [*"abcdefgh", "<b>bold</b>", "j"]


def search(folder):
    """A search whose front is trained, after 6 labels, beside random networks and a plain CNN; it has pictures."""
    shutil.copytree(OLD / "search", folder)
    describe_images(folder)
    result = read_result(folder)
    networks = {each.architecture: each for each in result.evaluations}
    finalists = [result.evaluations[row].architecture for row in find_finalists(_predicted(folder, result))]
    lines = [network(networks[text], FINALIST, 20.0 - place) for place, text in enumerate(finalists)]
    lines += [network(networks[text], RANDOM, 30.0 + place) for place, text in enumerate(finalists[:3])]
    lines.append(network(networks[finalists[0]], PLAIN, 12.5))
    with open(folder / "trainings.jsonl", "a", encoding="utf-8") as file:
        file.writelines(each.to_json() + "\n" for each in lines)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 8, 8, 1)).astype(np.uint8)
    write_sheet(folder / SAMPLES, pixels)
    return folder


def training(folder):
    """A training that is tested, on images of ten classes."""
    shutil.copytree(OLD / "training", folder)
    describe_images(folder)
    collector, random = Collector(np.zeros(1), np.ones(1)), np.random.default_rng(0)
    for _ in range(2):
        images, labels = random.uniform(0, 255, (50, 8, 8, 1)).astype(np.float32), random.integers(0, 10, 50)
        predicted = np.where(random.random(50) < 0.5, labels, random.integers(0, 10, 50))
        collector.add(images, labels, predicted, random.random(50))
    collector.write(folder)
    (folder / "result.json").write_text(to_json(vars(Test(1.0, 70.0, 100))) + "\n")
    return folder


def describe_images(folder):
    meta = json.loads((folder / "meta.json").read_text())
    said = {"image_shape": [16, 16, 1], "classes": 10, "class_names": CLASSES, "class_counts": [6] * 10}
    (folder / "meta.json").write_text(json.dumps(meta | said))


def network(evaluation, role, error):
    macs, params = evaluation.macs, evaluation.params
    return TrainedNetwork(evaluation.architecture, 2, error, 1.5, 1.0, 1.0, 80.0, macs, params, 1.0, role)


def _predicted(folder, result):
    """Writes labels; what the search minimises by them."""
    labels = [network(each, LABEL, 40.0 - place) for place, each in enumerate(result.evaluations[:6])]
    lines = ['{"setting": {"epochs": 2}}', *(each.to_json() for each in labels)]
    (folder / "trainings.jsonl").write_text("".join(line + "\n" for line in lines))
    return read_result(folder).minimised
