"""A trained network on disk for people who have no rwejax: weights, source, compiled inference, and what it is.

- `architecture.txt`: the genome as text.
- `weights.safetensors`: parameters and running statistics, numbers alone, so that reading them executes nothing.
- `network.py`: the network as Flax source, with parameters of the same names.
- `network.stablehlo`: inference with the weights inside, for any number of images, on cpu, cuda and tpu.
- `predict.py`: what images show, said by that; where the network reads images of as many channels as files have.
- `network.svg`: a drawing of the network, which the page shows; where one is given.
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
from rwejax.exporting.card import Card, describe_flax, to_json, to_markdown
from rwejax.networks import AUXILIARY, PlainNetwork
from rwejax.source.network import write_source
from rwejax.storage.atomic import replacing

PLATFORMS = ("cpu", "cuda", "tpu")
DRAWING = "network.svg"

_COLLECTIONS = ("params", "batch_stats")

__all__ = ["PLATFORMS", "Card", "export", "write_source"]


def export(
    network: PlainNetwork,
    variables: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    card: Card,
    folder: Path,
    drawing: bytes | None = None,
) -> None:
    """Write a trained network so that nobody needs rwejax to use it.

    Args:
        network: what `rwejax.build` returned.
        variables: its collections `params` and `batch_stats`; others, and an auxiliary head, are left out.
        image_shape: height, width and channels of an image.
        card: what is to be said of it.
        folder: where the files go, missing or empty; nothing is overwritten.
        drawing: an SVG file of the network, for the page.

    Raises:
        InputError: the folder holds something or cannot be written, the variables are not the network's, or it has no
            last linear layer.
    """
    variables = known_variables(network, variables, image_shape)
    claim_folder(folder)
    contents = {
        "weights.safetensors": save({path: np.asarray(leaf) for path, leaf in _flat(variables).items()}),
        "network.py": write_source(network, image_shape).encode(),
        "network.stablehlo": _lower(network, variables, image_shape),
    }
    write_files(folder, contents, card, image_shape, describe_flax(card, image_shape, PLATFORMS), drawing)


def claim_folder(folder: Path) -> None:
    """Make a folder if it is missing.

    Args:
        folder: where an export is to go.

    Raises:
        InputError: it holds something, or cannot be made.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"export folder {str(folder)!r} is not empty: give one that is missing or empty")


def write_files(
    folder: Path,
    contents: Mapping[str, bytes],
    card: Card,
    image_shape: tuple[int, int, int],
    use: str,
    drawing: bytes | None,
) -> None:
    """Write a network, and what people need to use it.

    Args:
        folder: where the files go.
        contents: of the network's own files, by name.
        card: what is to be said of it.
        image_shape: height, width and channels of an image.
        use: how it is used, for the page.
        drawing: an SVG file of the network, for the page.

    Raises:
        InputError: the folder cannot be written.
    """
    files = {
        **contents,
        "architecture.txt": f"{card.architecture}\n".encode(),
        "card.json": to_json(card, image_shape).encode(),
        "README.md": to_markdown(card, image_shape, use, DRAWING * (drawing is not None)).encode(),
    }
    if drawing is not None:
        files[DRAWING] = drawing
    if image_shape[2] in predict.MODES:
        files["predict.py"] = inspect.getsource(predict).encode()
    with _writing(folder):
        for name, content in files.items():
            with replacing(folder / name, "wb") as file:
                file.write(content)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"export folder {str(folder)!r} cannot be written ({error.strerror}): give another folder"
        ) from error


def known_variables(
    network: PlainNetwork, variables: Mapping[str, Any], image_shape: tuple[int, int, int]
) -> dict[str, dict[str, Any]]:
    """The variables that inference needs, without those of an auxiliary head.

    Args:
        network: whose they are.
        variables: its collections `params` and `batch_stats`; others are left out.
        image_shape: height, width and channels of an image.

    Raises:
        InputError: they are not what the network has.
    """
    known = {
        name: {path: leaf for path, leaf in variables.get(name, {}).items() if path != AUXILIARY}
        for name in _COLLECTIONS
    }
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, *image_shape), np.float32))
    expected, given = _flat({name: shapes[name] for name in _COLLECTIONS}), _flat(known)
    for name in expected | given:
        if name not in expected or name not in given or np.shape(given[name]) != expected[name].shape:
            raise InputError(f"variable {name!r} is not the network's: give what its own training has returned")
    return known


def _flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    return flatten_dict(variables, sep="/")


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
