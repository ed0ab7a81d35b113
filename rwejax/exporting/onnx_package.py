"""A trained network as an ONNX model on disk, which is compared with Flax before it is written.

- `net.onnx`: inference with the weights inside, for any number of images; its metadata are the facts of card.json.
- `predict.py`, `card.json`, `README.md` and what else is there: as beside a network in Flax, see `package.py`.
"""

import dataclasses
import functools
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from rwejax.errors import InputError
from rwejax.exporting.card import Card, describe_onnx, to_json
from rwejax.exporting.package import claim_folder, known_variables, write_files
from rwejax.exporting.predict import ONNX
from rwejax.networks import PlainNetwork
from rwejax.source.network import make_plain

IMAGES = 7
"""Images on which the two are compared: a number that no shape inside a network has by chance."""

Images = Float32[np.ndarray, "images height width channels"]

_PACKAGES = ("onnx", "onnxruntime")
_LARGEST = 1e-3  # difference of logits, as a share of the largest


def export_onnx(
    network: PlainNetwork,
    variables: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    card: Card,
    folder: Path,
    images: Images | None = None,
    drawing: bytes | None = None,
) -> Card:
    """Write a trained network as an ONNX model, if ONNX Runtime computes what Flax computes.

    Args:
        network: what `rwejax.build` returned.
        variables: its collections `params` and `batch_stats`; others, and an auxiliary head, are left out.
        image_shape: height, width and channels of an image.
        card: what is to be said of it.
        folder: where the files go, missing or empty; nothing is overwritten.
        images: standardised ones, on which the two are compared; None: of noise.
        drawing: an SVG file of the network, for the page.

    Returns:
        The card, with the largest difference of their logits among its metrics.

    Raises:
        InputError: the extra onnx is not installed, the folder holds something or cannot be written, the variables are
            not the network's, one of its operations cannot be written in ONNX, or the logits differ.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"format onnx needs {' and '.join(missing)}, not installed: pip install 'rwejax[onnx]'")
    from rwejax.exporting.onnx_graph import make_model

    known = known_variables(network, variables, image_shape)
    folder = Path(folder)
    claim_folder(folder)
    plain = make_plain(network, image_shape)
    model = make_model(functools.partial(plain.apply, known), image_shape, card.space)
    if images is None:
        images = np.random.default_rng(0).normal(size=(IMAGES, *image_shape)).astype(np.float32)
        of = "images of noise"
    else:
        of = "images"
    difference = _difference(model.SerializeToString(), network, known, images)
    metrics = {**card.metrics, f"largest difference of logits from Flax, {len(images)} {of}": difference}
    card = dataclasses.replace(card, metrics=metrics)
    for name, fact in json.loads(to_json(card, image_shape)).items():
        model.metadata_props.add(key=name, value=json.dumps(fact))
    use = describe_onnx(card, image_shape)
    write_files(folder, {ONNX: model.SerializeToString()}, card, image_shape, use, drawing)
    return card


def _difference(model: bytes, network: PlainNetwork, variables: Mapping[str, Any], images: Images) -> float:
    """The largest absolute difference of logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = np.asarray(jax.jit(network.apply)(variables, images))
    (found,) = session.run(["logits"], {"images": np.asarray(images)})
    difference = float(np.abs(found - expected).max())
    if not difference <= _LARGEST * max(1.0, float(np.abs(expected).max())):
        raise InputError(
            f"the logits of ONNX Runtime differ from Flax's by up to {difference:.3g}: export without --format onnx, "
            "and report the network"
        )
    return difference
