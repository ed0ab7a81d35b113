"""Reading and writing in a folder that somebody else may have made.

What is read is a regular file of a bounded size: a pipe would never end, and a device does what it likes. Links are
followed there. What is written lies in the folder itself: a link, symbolic or hard, would lead a write out of it.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from rwejax.errors import InputError

# Windows has neither, nor links that an archive can plant.
_OWN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

_PART = re.compile(r"\..*\.part")

CHECKPOINTS = "checkpoints"
"""Folder of the states in a run folder."""

REPORT = "report.html"
"""The page in a run folder that shows what it holds."""

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def partial_path(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


def read_whole(path: Path, most: int) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        OSError: it is missing, unreadable, no regular file, or larger.
    """
    check_regular(path)
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def read_lines_of(path: Path, most: int) -> Iterator[bytes]:
    """The lines of a regular file with their ends, one at a time.

    Args:
        path: the file.
        most: bytes that a line may have; a longer one is given in pieces, of which only the last ends.

    Raises:
        OSError: it is missing, unreadable or no regular file.
    """
    check_regular(path)
    with open(path, "rb") as file:
        while line := file.readline(most):
            yield line


def check_regular(path: Path) -> None:
    """Refuse what is no regular file, without opening it.

    Args:
        path: the file; a link to one is one.

    Raises:
        OSError: it is missing, unreachable or something else.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_kind(mode)} and no file", str(path))


def open_own(path: Path, flags: int) -> int:
    """Open a file of a folder to change it; returns the descriptor.

    Args:
        path: the file.
        flags: of `os.open`, without O_TRUNC.

    Raises:
        InputError: it is a link, is one of several hard links, or is no regular file.
        OSError: the operating system refuses.
    """
    with contextlib.suppress(FileNotFoundError):
        _check_own(path, os.lstat(path))
    descriptor = os.open(path, flags | _OWN, 0o666)
    try:
        _check_own(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_own(folder: Path) -> None:
    """Refuse a folder in which a command is to write, if something in it leads elsewhere.

    Args:
        folder: the folder; it may be a link itself.

    Raises:
        InputError: an entry is a symbolic link, a pipe, a socket or a device, or a folder stands where a file is to be
            written.
        OSError: the folder is unreadable.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            file = _PART.fullmatch(entry.name) is not None
            if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not file)):
                raise _leads_out(Path(entry.path), mode)


def check_tree(folder: Path) -> None:
    """Refuse a tree of files in which something leads elsewhere, or blocks who reads it.

    Args:
        folder: the root; a missing one has nothing.

    Raises:
        InputError: the root or something under it is neither a folder nor a file.
        OSError: a folder is unreadable.
    """
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        raise _leads_out(folder, mode)
    for root, _, _ in os.walk(folder):
        check_own(Path(root))


def newest_checkpoint(folder: Path) -> int | None:
    """The number of the newest whole checkpoint; an unfinished one has another name.

    Args:
        folder: of the checkpoints; None is returned of one that is missing or unreadable.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    return max((int(name) for name in names if re.fullmatch("[1-9][0-9]{0,8}", name)), default=None)


def _check_own(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _leads_out(path, found.st_mode)
    if found.st_nlink > 1:
        raise InputError(
            f"{str(path)!r} is one of {found.st_nlink} hard links to a file, and writing would change all of them: "
            "replace it by a copy"
        )


def _leads_out(path: Path, mode: int) -> InputError:
    return InputError(f"{str(path)!r} is {_kind(mode)}: put the file or folder itself there")


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "a file" if stat.S_ISREG(mode) else "a device")
