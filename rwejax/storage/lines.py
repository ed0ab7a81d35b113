"""Files of lines, each a record of its own in JSON, of which a kill may have torn the last."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rwejax.errors import InputError
from rwejax.storage.files import read_lines_of

Line = TypeVar("Line")

_LONGEST_LINE = 2**20  # bytes


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends, none of a missing one; a very long one comes in pieces.

    Args:
        path: the file.

    Raises:
        OSError: it is unreadable, or no regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        yield from read_lines_of(path, _LONGEST_LINE)


class BrokenLine(InputError):
    """A line in the middle of a file is broken.

    Args:
        message: the sentence for the user.
        intact: what the lines before it hold.

    Attributes:
        intact: what the lines before it hold.
    """

    def __init__(self, message: str, intact: list[Any]) -> None:
        super().__init__(message)
        self.intact = intact


def read_lines(path: Path, parse: Callable[[bytes, int], Line]) -> list[Line]:
    """What the complete lines of a file hold; a last line that a kill has torn is left out.

    Args:
        path: the file; one that is missing holds nothing.
        parse: is given a line and its number from 0, and raises a ValueError or TypeError where it is broken.

    Raises:
        InputError: the file is unreadable.
        BrokenLine: another line than the last is broken.
    """
    found: list[Line] = []
    try:
        for number, line in enumerate(lines_of(path)):
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                break
            found.append(_parse(parse, line, number))
    except OSError as error:
        raise InputError(f"{str(path)!r} is unreadable ({error.strerror}): check it") from error
    except (ValueError, TypeError) as error:
        message = (
            f"line {len(found) + 1} of {str(path)!r} is broken ({error}): restore the file, or start a new run with "
            "its config.yaml"
        )
        raise BrokenLine(message, found) from error
    return found


def _parse(parse: Callable[[bytes, int], Line], line: bytes, number: int) -> Line:
    if len(line) >= _LONGEST_LINE:
        raise ValueError(f"it has {_LONGEST_LINE:,} bytes or more")
    return parse(line, number)


def to_json(fields: dict[str, Any]) -> str:
    """A line of strict JSON, without its end; numbers that are not finite are null."""
    return json.dumps({name: finite(value) for name, value in fields.items()}, allow_nan=False)


def finite(value: Any) -> Any:
    """The value, or None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
