"""What is said of an exported network: once for machines, once to be read, from the same facts."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rwejax.exporting.predict import MARGIN, MODES

_SHOWN = 100  # classes that the page lists

_USE_FLAX = """\
With `pip install flax safetensors`, in this folder, `network.py` and `weights.safetensors` give logits, or go on being
trained. `pixels` is {pixels}, with values from 0 to 255. `card["class_names"]` names the classes in the order of the
logits.

```python
import json
from pathlib import Path

import jax
import numpy as np

from network import Network, load

card = json.loads(Path("card.json").read_text(encoding="utf-8"))
images = (pixels - np.float32(card["mean"])) / np.float32(card["std"])
logits = jax.jit(Network().apply)(load("weights.safetensors"), images)
```

`network.stablehlo` has all in one and needs no more than `pip install jax flatbuffers`. It runs on {platforms}:

```python
from pathlib import Path

import jax.export

network = jax.export.deserialize(bytearray(Path("network.stablehlo").read_bytes()))
logits = network.call(images)
```
"""


_USE_ONNX = """\
With `pip install onnxruntime numpy`, in this folder, `net.onnx` gives logits for any number of images. `pixels` is
{pixels}, with values from 0 to 255. `card["class_names"]` names the classes in the order of the logits;
all that `card.json` says stands in the metadata of `net.onnx` too, each fact as JSON.

```python
import json

import numpy as np
import onnxruntime

network = onnxruntime.InferenceSession("net.onnx")
card = {{name: json.loads(fact) for name, fact in network.get_modelmeta().custom_metadata_map.items()}}
images = (pixels - np.float32(card["mean"])) / np.float32(card["std"])
(logits,) = network.run(["logits"], {{"images": images}})
```
"""


_PREDICT = """\
With `pip install {packages} pillow`, `predict.py` says what images show, a line an image: file, class and
probability. `--csv FILE` writes the same as a table.

```sh
python predict.py IMAGE_OR_FOLDER
```

It reads an image as those of the training were: turned upright, {opaque}converted to mode {mode}, and {resized}. In
Python, `from predict import read`; then `pixels` below is `np.stack([read("image.png", card)])`.

"""


@dataclasses.dataclass(frozen=True)
class Card:
    """What a network is, where it comes from and what it reached.

    Attributes:
        space: name of its search space.
        architecture: text form of its genome.
        sizes: options of the space, such as channels and layers.
        classes: number of classes.
        macs: multiply-adds for one image.
        params: parameters.
        objectives: what a search minimised, by name.
        dataset: what it was trained on.
        mean: of each channel, subtracted from pixels on the scale 0 to 255.
        std: of each channel, by which what is left is divided.
        metrics: what was measured after training, by name, such as the test accuracy in %.
        provenance: where it comes from, by name: versions, run folder, seed.
        class_names: by label; empty if they are not known.
        cropped: whether images are resized by their shorter side and cut, not squeezed into a square.
        preprocessing: what `preprocessing` says.
    """

    space: str
    architecture: str
    sizes: Mapping[str, int | str]
    classes: int
    macs: int
    params: int
    objectives: Mapping[str, float]
    dataset: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    metrics: Mapping[str, float]
    provenance: Mapping[str, Any]
    class_names: list[str] = dataclasses.field(default_factory=list)
    cropped: bool = False
    preprocessing: Mapping[str, str] = dataclasses.field(default_factory=dict)


def preprocessing(image_shape: tuple[int, int, int], cropped: bool) -> dict[str, str]:
    """How an image becomes what a network was trained on, step by step, in words.

    Args:
        image_shape: height, width and channels of an image.
        cropped: as in `Card`.
    """
    height, width, channels = image_shape
    if cropped:
        shorter = _shorter(height)
        resize = f"resized to {shorter} pixels on its shorter side, bilinear, and cut to its middle {width} x {height}"
    else:
        resize = f"resized to {width} x {height} pixels, bilinear, squeezed if it is of another shape"
    return {
        "mode": MODES.get(channels, f"of {channels} channels"),
        "resize": resize,
        "standardise": "(pixels - mean) / std for each channel, of pixels from 0 to 255",
    }


def to_json(card: Card, image_shape: tuple[int, int, int]) -> str:
    """The card as strict JSON, which has null for numbers that are not finite.

    Args:
        card: the facts; each attribute becomes a key.
        image_shape: height, width and channels of an image; a key as well.
    """
    facts = {**vars(card), "image_shape": image_shape}
    return json.dumps(_plain(facts), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_markdown(card: Card, image_shape: tuple[int, int, int], use: str, drawing: str = "") -> str:
    """The card as a page of Markdown: facts, how to use the network, and its origin.

    Args:
        card: the facts.
        image_shape: height, width and channels of an image.
        use: what `describe_flax` or `describe_onnx` says.
        drawing: name of a picture of the network beside the page; none if empty.
    """
    facts = {
        "space": card.space,
        **card.sizes,
        "architecture": f"`{card.architecture}`",
        "images": " x ".join(map(str, image_shape)),
        "classes": card.classes,
        "parameters": f"{card.params:,}",
        "multiply-adds": f"{card.macs:,}",
    }
    sections = [
        f"# A network of the {card.space} space for {card.dataset}",
        f"![The network's operations and how they are connected]({drawing})" if drawing else "",
        _table("network", facts),
        _table("reached", card.metrics),
        _table("minimised by the search", card.objectives),
        _classes(card),
        f"## Use\n\n{use}",
        "## Origin",
        _table("from", {"dataset": card.dataset, **card.provenance}),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def describe_flax(card: Card, image_shape: tuple[int, int, int], platforms: Sequence[str]) -> str:
    """How a network is used that is exported as Flax source, weights and StableHLO.

    Args:
        card: the facts.
        image_shape: height, width and channels of an image.
        platforms: where `network.stablehlo` runs, by JAX's names.
    """
    use = _USE_FLAX.format(pixels=_pixels(image_shape), platforms=", ".join(platforms))
    return _predict(card, image_shape, "jax flatbuffers") + use.rstrip()


def describe_onnx(card: Card, image_shape: tuple[int, int, int]) -> str:
    """How a network is used that is exported to ONNX.

    Args:
        card: the facts.
        image_shape: height, width and channels of an image.
    """
    return _predict(card, image_shape, "onnxruntime") + _USE_ONNX.format(pixels=_pixels(image_shape)).rstrip()


def _pixels(image_shape: tuple[int, int, int]) -> str:
    return f"(images, {', '.join(map(str, image_shape))})"


def _predict(card: Card, image_shape: tuple[int, int, int], packages: str) -> str:
    """What `predict.py` does, which is not there for images of other channels than files have."""
    mode = MODES.get(image_shape[2])
    if mode is None:
        return ""
    opaque = "" if mode == "RGBA" else "laid on white where it is transparent, "
    resized = preprocessing(image_shape, card.cropped)["resize"]
    return _PREDICT.format(packages=packages, opaque=opaque, mode=mode, resized=resized)


def _shorter(size: int) -> int:
    return round(size * MARGIN)


def _classes(card: Card) -> str:
    rows = {str(label): name for label, name in enumerate(card.class_names[:_SHOWN])}
    more = len(card.class_names) - len(rows)
    return _table("class", rows) + (f"\n| | and {more} more, in card.json |" if more else "")


def _table(title: str, facts: Mapping[str, Any]) -> str:
    """A table of two columns, or nothing where there are no facts."""
    rows = [f"| {name} | {_written(value)} |" for name, value in facts.items()]
    return "\n".join([f"| {title} | |", "| --- | --- |", *rows]) if rows else ""


def _written(value: Any) -> str:
    """A value in a cell of a table, which a bar would end."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(each)}" for name, each in value.items())
    return (f"{value:.6g}" if isinstance(value, float) else str(value)).replace("|", r"\|").replace("\n", " ")


def _plain(value: Any) -> Any:
    """What JSON can say."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
