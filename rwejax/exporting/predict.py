"""Say what images show, by the exported network that lies beside this file.

`python predict.py IMAGE_OR_FOLDER` needs numpy, pillow, and what runs the network: onnxruntime where that is net.onnx,
otherwise jax and flatbuffers. `rwejax export` writes a copy of this source, so it uses nothing of rwejax;
`rwejax predict` is the same command.
"""

import argparse
import csv
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

ONNX, STABLEHLO = "net.onnx", "network.stablehlo"  # of which a folder has one
BATCH = 32  # images that are computed at once
MARGIN = 256 / 224  # of cropped images: the shorter side to which they are resized, over what is cut from its middle
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by channels
CONVERTIBLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"})  # of 8 bits

Infer = Callable[[np.ndarray], Any]
"""From (images, height, width, channels) standardised float32 to (images, classes) logits."""


class Unusable(Exception):
    """Something that was given cannot be used: one sentence that names it, what is wrong and the mend."""


class Prediction(NamedTuple):
    """What an image shows.

    Attributes:
        file: the image's path, below the folder that was given if it was one.
        name: of the likeliest class, or its number where the classes have no names.
        probability: of that class, by the network.
    """

    file: str
    name: str
    probability: float


def load(folder: Path) -> tuple[Infer, dict[str, Any]]:
    """An exported network, and its card.

    Args:
        folder: what `rwejax export` has written.

    Raises:
        Unusable: the folder holds no exported network, or what runs it is not installed.
    """
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        of_onnx = (folder / ONNX).exists()
        network = (folder / (ONNX if of_onnx else STABLEHLO)).read_bytes()
    except (OSError, ValueError) as error:
        raise Unusable(
            f"folder {str(folder)!r} holds no exported network ({error}): give a folder that rwejax export has written"
        ) from error
    try:
        *_, channels = card["image_shape"]
        np.broadcast_to(np.asarray([card["mean"], card["std"]], np.float32), (2, channels))
        complete = isinstance(card["cropped"], bool) and len(card["class_names"]) in (0, card["classes"])
    except (LookupError, TypeError, ValueError):
        complete = False
    if not complete:
        raise Unusable(f"card.json in folder {str(folder)!r} is damaged: export the network again")
    name, make, packages = (ONNX, _of_onnx, "onnxruntime") if of_onnx else (STABLEHLO, _of_stablehlo, "jax flatbuffers")
    try:
        return make(network), card
    except ImportError as error:
        raise Unusable(f"{name} needs packages that are missing: pip install {packages}") from error
    except Exception as error:  # of flatbuffers, which checks nothing that it reads, or of ONNX Runtime's own kinds
        raise Unusable(f"{name} is damaged, or newer than what runs it: export the network again") from error


def _of_onnx(network: bytes) -> Infer:
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=onnxruntime.get_available_providers())
    return lambda images: session.run(["logits"], {"images": images})[0]


def _of_stablehlo(network: bytes) -> Infer:
    import jax
    import jax.export

    return jax.jit(jax.export.deserialize(bytearray(network)).call)


def find(given: Sequence[Path]) -> list[tuple[str, Path]]:
    """The images to look at: what each is called, and where it lies.

    Args:
        given: files, and folders whose images, also those in folders below them, are meant.

    Raises:
        Unusable: one of them does not exist, or is a folder without images.
    """
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found = []
    for path in given:
        if not path.exists():
            raise Unusable(f"{str(path)!r} does not exist: give images, or folders of images")
        inside = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in known and each.is_file()]
        if path.is_dir() and not inside:
            raise Unusable(f"folder {str(path)!r} holds no images: give another one")
        found += [(each.relative_to(path).as_posix(), each) for each in inside] or [(str(path), path)]
    return found


def read(path: str | Path, card: Mapping[str, Any]) -> np.ndarray:
    """An image as those that the network was trained on: (height, width, channels) uint8.

    It is turned upright, laid on white where it is transparent, converted, and resized.

    Args:
        path: of the file.
        card: card.json.

    Raises:
        Unusable: the image is missing, broken or not of 8-bit pixels, or the network reads no images of files.
    """
    height, width, channels = card["image_shape"]
    if channels not in MODES:
        raise Unusable(f"the network reads images of {channels} channels, which no file has: give it arrays instead")
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which changes no pixel
            if image.mode not in CONVERTIBLE:
                raise Unusable(f"image {str(path)!r} has pixels of the kind {image.mode}: convert it to RGB of 8 bits")
            whole = _converted(ImageOps.exif_transpose(image), MODES[channels])
        pixels = (_cropped if card["cropped"] else _squeezed)(whole, width, height)
    except Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise Unusable(f"image {str(path)!r} has more pixels than Pillow reads: make it smaller") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise Unusable(f"image {str(path)!r} is missing, broken or no image: remove or replace it") from error
    return np.asarray(pixels).reshape(height, width, channels)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if mode == "RGBA":
        return image.convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB").convert(mode)


def _squeezed(image: Image.Image, width: int, height: int) -> Image.Image:
    # Band by band, or Pillow would weigh colours by their opacity.
    bands = [band.resize((width, height), Image.Resampling.BILINEAR) for band in image.split()]
    return Image.merge(image.mode, bands)


def _cropped(image: Image.Image, width: int, height: int) -> Image.Image:
    size = tuple(round(height * MARGIN) * side // min(image.size) for side in image.size)
    left, upper = (round((side - height) / 2) for side in size)
    resized = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return resized.crop((left, upper, left + width, upper + height))


def predict(infer: Infer, card: Mapping[str, Any], images: Sequence[tuple[str, Path]]) -> Iterator[Prediction]:
    """What images show, one after the other.

    Args:
        infer: the network.
        card: card.json.
        images: what each is called, and where it lies.

    Raises:
        Unusable: an image cannot be read.
    """
    size = min(BATCH, len(images))
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        pixels = np.stack([read(path, card) for _, path in batch])
        # The last batch is filled up, for every other number of images would be compiled anew.
        pixels = np.concatenate([pixels, np.repeat(pixels[:1], size - len(batch), 0)])
        logits = np.asarray(infer((pixels - np.float32(card["mean"])) / np.float32(card["std"])), np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        for (name, _), row in zip(batch, odds / odds.sum(1, keepdims=True), strict=False):
            label = int(row.argmax())
            yield Prediction(name, card["class_names"][label] if card["class_names"] else str(label), float(row[label]))


def run(
    infer: Infer,
    card: Mapping[str, Any],
    given: Sequence[Path],
    table: Path | None,
    show: Callable[[str], object] = print,
) -> None:
    """Show what images show, a line an image: file, class, probability.

    Args:
        infer: the network.
        card: card.json.
        given: images and folders of images.
        table: CSV file for the same, missing; if any.
        show: is given each line.

    Raises:
        Unusable: an image cannot be read, or the file exists or cannot be written.
    """
    if table is not None and table.exists():
        raise Unusable(f"--csv {str(table)!r} exists: give another file")
    images = find(given)
    width = max(len(name) for name, _ in images)
    rows = [("file", "class", "probability")]
    for each in predict(infer, card, images):
        show(f"{each.file:<{width}}  {each.name} {each.probability:.2f}")
        rows.append((each.file, each.name, f"{each.probability:.6g}"))
    if table is not None:
        try:
            with open(table, "x", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
        except OSError as error:
            raise Unusable(f"--csv {str(table)!r} cannot be written ({error.strerror}): give another file") from error


def main(words: Sequence[str]) -> int:
    """Predict as the flags say; returns the exit code."""
    parser = argparse.ArgumentParser(description="Say what images show: file, class and probability, a line an image.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="CSV file for the same, missing")
    given = parser.parse_args(words)
    try:
        infer, card = load(Path(__file__).parent)
        run(infer, card, given.images, given.csv)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
