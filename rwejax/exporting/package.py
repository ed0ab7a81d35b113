"""A trained network on disk for people who have no rwejax: weights, source, compiled inference, and what it is.

- `architecture.txt`: the genome as text.
- `weights.safetensors`: parameters and running statistics, numbers alone, so that reading them executes nothing.
- `network.py`: the network as Flax source, with parameters of the same names.
- `network.stablehlo`: inference with the weights inside, for any number of images, on cpu, cuda and tpu.
- `predict.py`: what images show, said by that; where the network reads images of as many channels as files have.
- `card.json`: what the network is, where it comes from and what it reached.
- `README.md`: the same to be read, and how to run the network.
"""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from flax.traverse_util import flatten_dict
from safetensors.numpy import save

from rwejax.errors import InputError
from rwejax.exporting import predict
from rwejax.exporting.card import Card, to_json, to_markdown
from rwejax.exporting.source import write_source
from rwejax.networks import AUXILIARY, PlainNetwork
from rwejax.storage.atomic import replacing

PLATFORMS = ("cpu", "cuda", "tpu")

_COLLECTIONS = ("params", "batch_stats")

__all__ = ["PLATFORMS", "Card", "export", "write_source"]


def export(
    network: PlainNetwork,
    variables: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    card: Card,
    folder: Path,
) -> None:
    """Write a trained network so that nobody needs rwejax to use it.

    Args:
        network: what `rwejax.build` returned.
        variables: its collections `params` and `batch_stats`; others, and an auxiliary head, are left out.
        image_shape: height, width and channels of an image.
        card: what is to be said of it.
        folder: where the files go, missing or empty; nothing is overwritten.

    Raises:
        InputError: the folder holds something or cannot be written, the variables are not the network's, or it has no
            last linear layer.
    """
    variables = {
        name: {path: leaf for path, leaf in variables.get(name, {}).items() if path != AUXILIARY}
        for name in _COLLECTIONS
    }
    weights = _weights(network, variables, image_shape)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"export folder {str(folder)!r} is not empty: give one that is missing or empty")
        contents = {
            "architecture.txt": f"{card.architecture}\n".encode(),
            "weights.safetensors": save(weights),
            "network.py": write_source(network, image_shape).encode(),
            "network.stablehlo": _lower(network, variables, image_shape),
            "card.json": to_json(card, image_shape).encode(),
            "README.md": to_markdown(card, image_shape, PLATFORMS).encode(),
        }
        if image_shape[2] in predict.MODES:
            contents["predict.py"] = inspect.getsource(predict).encode()
        for name, content in contents.items():
            with replacing(folder / name, "wb") as file:
                file.write(content)
    except OSError as error:
        raise InputError(
            f"export folder {str(folder)!r} cannot be written ({error.strerror}): give another folder"
        ) from error


def _weights(
    network: PlainNetwork, variables: Mapping[str, Any], image_shape: tuple[int, int, int]
) -> dict[str, np.ndarray]:
    """The variables by their paths, if they are what the network has."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, *image_shape), np.float32))
    expected, given = (
        flatten_dict({name: each[name] for name in _COLLECTIONS}, sep="/") for each in (shapes, variables)
    )
    for name in expected | given:
        if name not in expected or name not in given or np.shape(given[name]) != expected[name].shape:
            raise InputError(f"variable {name!r} is not the network's: give what its own training has returned")
    return {name: np.asarray(leaf) for name, leaf in given.items()}


def _lower(network: PlainNetwork, variables: Mapping[str, Any], image_shape: tuple[int, int, int]) -> bytes:
    """Inference as serialised StableHLO; the number of images is a symbol."""
    infer = functools.partial(network.apply, variables)
    images = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("images"), *image_shape), np.float32)
    with _without_folders():
        return bytes(jax.export.export(jax.jit(infer), platforms=PLATFORMS)(images).serialize())


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
    """JAX writes down the source of each operation; whose folders these are is nobody's business."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*/")
    try:
        yield
    finally:
        jax.config.update(name, before)
