"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rwejax.storage.files import open_own, partial_path


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file, of text or with mode "wb" of bytes, that takes `path`'s place once it is whole and on the disk.

    What a kill leaves of it, `.NAME.part`, is replaced the next time. A link at `path` is replaced, not followed.

    Args:
        path: the file; its folder exists.
        mode: "w" for UTF-8 text or "wb" for bytes. Names of files that are not UTF-8 are written as escapes.

    Raises:
        InputError: something else than a file stands where the unfinished one is written.
    """
    part = partial_path(path)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with contextlib.suppress(FileNotFoundError):
        os.close(open_own(part, os.O_WRONLY))  # a link is no leftover of ours, and says so
        part.unlink()
    try:
        with open(open_own(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
