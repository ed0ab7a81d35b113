"""The page of one training."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from rwejax.errors import InputError
from rwejax.figures import short
from rwejax.reporting import facts
from rwejax.reporting.drawings import Drawing, draw_networks
from rwejax.reporting.page import render
from rwejax.reporting.pictures import to_uri
from rwejax.reporting.training_figures import make_confusion_figure, make_curves_figure
from rwejax.storage.contact_sheet import read_sheet
from rwejax.storage.meta import Meta, read_meta
from rwejax.storage.yaml_config import read_stored
from rwejax.training.config import TrainConfig
from rwejax.training.console import at_chance
from rwejax.training.loop import choose
from rwejax.training.predictions import PICTURES, Predictions, read_predictions, worst_mistakes
from rwejax.training.records import Test, read_epochs, read_test

_MOST_BARS = 30
_MOST_CONFUSIONS = 12


def make_page(path: Path, at_work: bool, drawings: int) -> tuple[str, list[Drawing]]:
    """The page of a training, as its folder is now, and the drawing that is in it.

    Args:
        path: the run folder.
        at_work: whether another process is at work on it.
        drawings: whether its network is drawn: 0, or more.

    Raises:
        InputError: the folder holds no training, or is broken.
    """
    config, meta = read_stored(path, TrainConfig()), read_meta(path)
    epochs, test, predictions = read_epochs(path), read_test(path), read_predictions(path)
    names = [name for name, _ in facts.classes(meta)]
    matrix = None if predictions is None else _confusion(path, predictions, len(names))
    mistakes = [] if predictions is None else _mistakes(path, predictions, names)
    drawn = _drawing(config, meta) if drawings else []
    page = render(
        "training.html",
        figures={
            "accuracy": make_curves_figure(epochs, "accuracy", "accuracy (%), higher is better") if epochs else None,
            "loss": make_curves_figure(epochs, "loss", "cross-entropy, lower is better") if epochs else None,
            "confusion": None if matrix is None else make_confusion_figure(matrix, names),
        },
        title=f"{config.space_name} network on {short(config.dataset)}",
        path=str(path),
        state=_state(len(epochs), config, test, at_work),
        accuracy=_accuracy(test, len(names)),
        last=epochs[-1] if epochs else None,
        architecture=config.architecture,
        network=_network(config, meta),
        drawings=drawn,
        tested=test is not None,
        classes_of_test=None if matrix is None else _accuracies(matrix, names),
        confusions=[] if matrix is None else _confusions(matrix, names),
        mistakes=mistakes,
        wrong=0 if predictions is None else int((predictions.labels != predictions.predicted).sum()),
        seconds=sum(each.seconds for each in epochs),
        images=facts.images(meta, config),
        classes=facts.classes(meta),
        dataset=config.dataset,
        came_from=_origin(meta),
        options=facts.options(config, TrainConfig()),
        origin=facts.origin(meta),
        commands=_commands(path, config, test is not None, at_work),
    )
    return page, drawn


def _state(epochs: int, config: TrainConfig, test: Test | None, at_work: bool) -> str:
    if test is not None:
        return f"finished: {epochs} epochs"
    return f"{'still at work' if at_work else 'interrupted'}: {epochs} of {config.epochs} epochs"


def _accuracy(test: Test | None, classes: int) -> str | None:
    """The accuracy in a sentence, with the standard error of so many images."""
    if test is None:
        return None
    share = test.test_accuracy / 100
    error = 100 * math.sqrt(share * (1 - share) / test.test_images)
    chance = at_chance(test.test_accuracy, test.test_images, classes) if classes else ""
    return f"{test.test_accuracy:.2f} ± {error:.2f} % of {test.test_images} test images are told right{chance}"


def _network(config: TrainConfig, meta: Meta) -> list[tuple[str, str]]:
    if "image_shape" not in meta or "classes" not in meta:
        return []
    height, width, channels = meta["image_shape"]
    space, genome = choose(config, (height, width, channels), meta["classes"])
    macs, params = (int(count(genome[None])[0]) for count in (space.macs, space.params))
    return [("multiply-adds", f"{macs:,}"), ("parameters", f"{params:,}")]


def _drawing(config: TrainConfig, meta: Meta) -> list[Drawing]:
    if "image_shape" not in meta or "classes" not in meta:
        return []
    height, width, channels = meta["image_shape"]
    space, genome = choose(config, (height, width, channels), meta["classes"])
    return draw_networks(space, [("network.svg", "the network", space.to_string(genome))])


def _confusion(path: Path, predictions: Predictions, classes: int) -> Int[np.ndarray, "classes classes"]:
    largest = int(max(predictions.labels.max(), predictions.predicted.max()))
    if largest >= classes:
        raise InputError(
            f"predictions.csv in run folder {str(path)!r} has class {largest}, but meta.json names {classes}: restore "
            "them"
        )
    flat = np.bincount(predictions.labels * classes + predictions.predicted, minlength=classes**2)
    return flat.reshape(classes, classes)


def _accuracies(matrix: Int[np.ndarray, "classes classes"], names: list[str]) -> dict[str, Any]:
    """Accuracy of each class, of many those with the lowest, the lowest first."""
    counts, right = matrix.sum(1), matrix.diagonal()
    shares = 100 * right / np.maximum(counts, 1)
    order = [row for row in np.argsort(shares, kind="stable").tolist() if counts[row]]
    bars = [facts.Bar(names[row], f"{shares[row]:.1f} % of {counts[row]}", shares[row]) for row in order[:_MOST_BARS]]
    return {"bars": bars, "more": len(order) - len(bars)}


def _confusions(matrix: Int[np.ndarray, "classes classes"], names: list[str]) -> list[tuple[str, str, int]]:
    """The pairs of classes that are confused most often: label, prediction, images."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong.ravel(), kind="stable")[:_MOST_CONFUSIONS]
    pairs = [(*divmod(place, len(names)), int(wrong.ravel()[place])) for place in order.tolist()]
    return [(names[label], names[predicted], count) for label, predicted, count in pairs if count]


def _mistakes(path: Path, predictions: Predictions, names: list[str]) -> list[dict[str, str]]:
    """The worst mistakes: picture, label, prediction and its probability."""
    sheet = read_sheet(path / PICTURES)
    if sheet is None:
        return []
    return [
        {
            "picture": to_uri(pixels),
            "label": names[predictions.labels[row]],
            "predicted": names[predictions.predicted[row]],
            "probability": f"{100 * predictions.probability[row]:.0f} %",
        }
        for row, pixels in zip(worst_mistakes(predictions).tolist(), sheet[0], strict=False)
    ]


def _origin(meta: Meta) -> str | None:
    origin = meta.get("origin")
    return f"picked by {origin['pick']} from {origin['run']}" if origin and {"run", "pick"} <= origin.keys() else None


def _commands(path: Path, config: TrainConfig, tested: bool, at_work: bool) -> list[facts.Command]:
    again = facts.command("write this page anew", "report", path, *config.space_flags)
    if at_work:
        return [facts.command("see how far it is", "status", path), again]
    if not tested:
        return [facts.command("go on with the training", "train", "--resume", path, *config.code_flags), again]
    folder, space = Path("exported") / path.name, config.space_flags
    return [
        facts.command("write the network so that nobody needs rwejax to use it", "export", path, folder, *space),
        facts.command("say what images of your own show", "predict", path, "FOLDER", *space),
        again,
    ]
