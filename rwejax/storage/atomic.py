"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file, of text or with mode "wb" of bytes, that takes `path`'s place once it is whole and on the disk.

    What a kill leaves of it, `.NAME.part`, is overwritten the next time.

    Args:
        path: the file; its folder exists.
        mode: "w" for UTF-8 text or "wb" for bytes.
    """
    part = partial_path(path)
    encoding = None if "b" in mode else "utf-8"
    try:
        with open(part, mode, encoding=encoding, newline=None if encoding is None else "") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def partial_path(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")
