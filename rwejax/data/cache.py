"""Decoded splits on disk, so that a second run reads pixels instead of decoding them.

Plain `.npy` files, opened by memory map: a run that draws a thousand images reads a thousand images. The cache only
ever saves time: whatever is wrong with it, the source is read instead.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

import numpy as np

from rwejax.data.images import Split
from rwejax.data.sources import Source
from rwejax.runtime import cache_dir

FORMAT = 2  # to be raised when the same source would decode to other pixels


def fetch(source: Source, split: str, image_size: int | None) -> Split:
    """Reads a split from the cache, or else from its source, leaving it in the cache.

    Args:
        source: where the images come from.
        split: "train", or the source's test split.
        image_size: height and width in pixels to resize to, or None to keep the images as they are.

    Raises:
        InputError: the source cannot be read.
    """
    prefix = _prefix(source, split, image_size)
    found = None if prefix is None else _read(prefix)
    if found is None:
        found = source.read(split, image_size)
        if prefix is not None:
            _write(prefix, found)
    return found


def _prefix(source: Source, split: str, image_size: int | None) -> Path | None:
    """What the files' paths start with: a folder for the images asked for, a name for the state of their source."""
    folder = cache_dir.folder("data")
    if folder is None:
        return None
    key = hashlib.sha256(repr((FORMAT, source.location, split, image_size)).encode(errors="replace")).hexdigest()[:16]
    words = [*re.findall(r"\w+", source.name)[-3:], split, str(image_size or "native"), key]
    return folder / "-".join(words)[-200:] / source.fingerprint


def _read(prefix: Path) -> Split | None:
    try:
        images, labels, names = (
            np.load(_file(prefix, field), mmap_mode="r", allow_pickle=False) for field in Split._fields
        )
        split = Split(images, np.array(labels), tuple(map(str, names)))
    except Exception:  # numpy raises many things at a broken file, and each means the same: decode again
        return None
    sound = (
        split.images.ndim == 4
        and split.images.dtype == np.uint8
        and split.labels.dtype == np.int32
        and split.labels.shape == split.images.shape[:1]
        and split.labels.size > 0
        and 0 <= split.labels.min() <= split.labels.max() < split.classes
    )
    return split if sound else None


def _write(prefix: Path, split: Split) -> None:
    with contextlib.suppress(OSError):
        prefix.parent.mkdir(parents=True, exist_ok=True)
        for field, value in split._asdict().items():
            _write_file(_file(prefix, field), np.asarray(value))
        for stale in prefix.parent.iterdir():
            if not stale.name.startswith(prefix.name):
                stale.unlink()


def _write_file(path: Path, array: np.ndarray) -> None:
    # Written aside and renamed, so that a run beside this one never sees half a file.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as temporary:
        try:
            np.save(temporary, array, allow_pickle=False)
            temporary.close()
            os.replace(temporary.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary.name)
            raise


def _file(prefix: Path, field: str) -> Path:
    return prefix.with_name(f"{prefix.name}-{field}.npy")
