"""Standard output that ends a command in a sentence where it cannot be written, and shows any text on any terminal."""

import io
import sys
from typing import Any

from rwejax.errors import InputError


class StandardOutput(io.TextIOWrapper):
    """Text to a file, a pipe or a terminal; what its encoding lacks is escaped.

    Args:
        buffer: of bytes.
        encoding: of the text; by default the locale's.

    Raises:
        InputError: by `write` and `flush`, where a disk is full or a terminal has gone; a pipe that nobody reads any
            more stays Python's BrokenPipeError.
    """

    def __init__(self, buffer: Any, encoding: str | None = None) -> None:
        super().__init__(buffer, encoding, errors="backslashreplace", line_buffering=True)

    def write(self, text: str, /) -> int:
        """Write text."""
        try:
            return super().write(text)
        except OSError as error:
            raise _refused(error) from error

    def flush(self) -> None:
        """Write what is waiting."""
        try:
            super().flush()
        except OSError as error:
            raise _refused(error) from error


def guard() -> None:
    """Make standard output such a one; where there is none, as without a console on Windows, nothing is done."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = sys.stdout.encoding
        sys.stdout = StandardOutput(sys.stdout.detach(), encoding)


def _refused(error: OSError) -> OSError | InputError:
    if isinstance(error, BrokenPipeError):
        return error
    return InputError(
        f"standard output cannot be written ({error.strerror}): send it elsewhere; a run folder that was begun can be "
        "resumed"
    )
