"""Standard output that ends a command in a sentence where it cannot be written, and shows any text on any terminal."""

import io
import sys
import warnings
from typing import Any

from rwejax.errors import InputError


class StandardOutput(io.TextIOWrapper):
    """Text to a file, a pipe or a terminal; what its encoding lacks is escaped.

    Args:
        buffer: of bytes.
        encoding: of the text; by default the locale's.
    """

    def __init__(self, buffer: Any, encoding: str | None = None) -> None:
        super().__init__(buffer, encoding, errors="backslashreplace", line_buffering=True)

    def write(self, text: str, /) -> int:
        """Write text.

        Args:
            text: as much of it as there is.

        Raises:
            InputError: it cannot be written.
            BrokenPipeError: nobody reads it any more.
        """
        try:
            return super().write(text)
        except OSError as error:
            raise _refused(error) from error

    def flush(self) -> None:
        """Write what is waiting.

        Raises:
            InputError: it cannot be written.
            BrokenPipeError: nobody reads it any more.
        """
        try:
            super().flush()
        except OSError as error:
            raise _refused(error) from error


def prepare() -> None:
    """Make standard output such a one, escape on standard error too, and make each warning one line there.

    Where there is no such stream, as without a console on Windows, nothing is done.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = sys.stdout.encoding
        sys.stdout = StandardOutput(sys.stdout.detach(), encoding)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"


def _refused(error: OSError) -> OSError | InputError:
    if isinstance(error, BrokenPipeError):
        return error
    return InputError(
        f"standard output cannot be written ({error.strerror}): send it elsewhere; a run folder that was begun can be "
        "resumed"
    )
