"""What is said of an exported network: once for machines, once to be read, from the same facts."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_USE = """\
## Use

With `pip install flax safetensors`, in this folder, `network.py` and `weights.safetensors` give logits, or go on being
trained. `pixels` is {pixels}, with values from 0 to 255.

```python
import json
from pathlib import Path

import jax
import numpy as np

from network import Network, load

card = json.loads(Path("card.json").read_text())
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


def to_json(card: Card, image_shape: tuple[int, int, int]) -> str:
    """The card as strict JSON, which has null for numbers that are not finite.

    Args:
        card: the facts; each attribute becomes a key.
        image_shape: height, width and channels of an image; a key as well.
    """
    facts = {**vars(card), "image_shape": image_shape}
    return json.dumps(_plain(facts), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_markdown(card: Card, image_shape: tuple[int, int, int], platforms: Sequence[str]) -> str:
    """The card as a page of Markdown: facts, how to use the network, and its origin.

    Args:
        card: the facts.
        image_shape: height, width and channels of an image.
        platforms: where `network.stablehlo` runs, by JAX's names.
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
        _table("network", facts),
        _table("reached", card.metrics),
        _table("minimised by the search", card.objectives),
        _USE.format(pixels=f"(images, {', '.join(map(str, image_shape))})", platforms=", ".join(platforms)).rstrip(),
        "## Origin",
        _table("from", {"dataset": card.dataset, **card.provenance}),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


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
