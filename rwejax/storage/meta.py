"""meta.json of a run folder: what the config does not say, and in which format the folder is.

Keys that this version does not know are kept, so that a newer one may add some.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import msgspec

from rwejax.errors import InputError, quoted
from rwejax.storage.atomic import replacing
from rwejax.storage.files import read_whole
from rwejax.storage.schema import Natural, Number, Positive, Text, convert, parse_json

FORMAT = 3
"""Version of the run format; folders of rwejax 0.1.0 name none and are 1. It grows when an older rwejax could not go on
with a folder, not when a key is added: 3, since forward scores come from one pass."""

FILE = "meta.json"

_MOST_BYTES = 2**24
_LARGEST_IMAGE = 2**16  # pixels

Pixels = Annotated[int, msgspec.Meta(ge=1, le=_LARGEST_IMAGE)]
Channel = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class Origin(TypedDict, total=False):
    """Where the architecture of a training comes from."""

    run: Text
    pick: Text
    objectives: dict[Text, Number | None]


class Meta(TypedDict, total=False):
    """The keys that are read again; each may be missing."""

    format: Positive
    versions: dict[Text, Text]
    start_time: Text
    resume_times: list[Text]
    resume_versions: list[dict[Text, Text]]
    hypervolume_reference: Annotated[list[Number], msgspec.Meta(min_length=1, max_length=8)]
    image_shape: Annotated[list[Pixels], msgspec.Meta(min_length=3, max_length=3)]
    classes: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    class_names: list[Text]
    class_counts: list[Natural]
    fingerprint: Text
    mean: list[Channel]
    std: list[Channel]
    origin: Origin | None
    moves: list[dict[Text, Text | None]]
    finally_trained: Natural


def read_meta(folder: Path) -> Meta:
    """What meta.json of a run folder says; nothing if the run was killed before it was written.

    Args:
        folder: the run folder.

    Raises:
        InputError: it is broken, or of a newer format.
    """
    try:
        found = parse_json(read_whole(folder / FILE, _MOST_BYTES))
        convert(found, Meta)
        _check_channels(found)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"meta.json in run folder {str(folder)!r} is broken ({reason}): restore it, or start a new run with its "
            "config.yaml"
        ) from error
    _refuse_newer(folder, found.get("format", 1))
    return cast(Meta, found)


def check_format(folder: Path) -> None:
    """Refuse a run folder of a newer format, whatever else may be wrong with it.

    Args:
        folder: the run folder.

    Raises:
        InputError: its meta.json names a format that this version does not know.
    """
    try:
        found = parse_json(read_whole(folder / FILE, _MOST_BYTES))
    except (OSError, ValueError):
        return  # is answered by who needs it
    version = found.get("format") if isinstance(found, dict) else None
    if type(version) is int:
        _refuse_newer(folder, version)


def _refuse_newer(folder: Path, version: int) -> None:
    if version > FORMAT:
        raise InputError(
            f"run folder {str(folder)!r} has format {quoted(version)} and this rwejax knows up to {FORMAT}: use a "
            "newer rwejax"
        )


def write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write meta.json, in the present format.

    Args:
        folder: the run folder.
        meta: all keys; `format` is set.
    """
    with replacing(folder / FILE) as file:
        json.dump({**meta, "format": FORMAT}, file, indent=2, allow_nan=False)
        file.write("\n")


def _check_channels(meta: Meta) -> None:
    shape = meta.get("image_shape")
    for values in (meta.get("mean"), meta.get("std")):
        if values is not None and (shape is None or len(values) != shape[2]):
            raise ValueError("mean and std are not of the channels of image_shape")
    if any(value <= 0 for value in meta.get("std", [])):
        raise ValueError("std: Expected float > 0")
