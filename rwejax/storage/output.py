"""Where a command writes a table and what belongs to it, or a drawing: beside each other, and over nothing."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rwejax.errors import InputError


def free_output(output: Path | None, name: str, files: Callable[[Path], list[Path]], ending: str = ".csv") -> Path:
    """The path of a table or a drawing that replaces nothing.

    Args:
        output: the path, if the user gave one.
        name: otherwise the path is runs/NAME.csv, or runs/NAME-2.csv and so on.
        files: everything that is written with it.
        ending: of the file.

    Raises:
        InputError: a file exists that belongs to the path that the user gave.
    """
    if output is not None:
        if existing := [path for path in files(Path(output)) if path.exists()]:
            raise InputError(f"output {str(existing[0])!r} exists: give another file with --output")
        return Path(output)
    plain = re.sub(r"\W+", "-", name)
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    candidates = (Path("runs") / f"{plain}{suffix}{ending}" for suffix in suffixes)
    return next(path for path in candidates if not any(file.exists() for file in files(path)))


@contextlib.contextmanager
def writing(output: Path) -> Iterator[None]:
    """Say in one sentence, an `InputError`, that a file cannot be written.

    Args:
        output: the file that the body writes.

    Raises:
        InputError: the body ended in an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"output {str(output)!r} cannot be written ({error.strerror}): give another file with --output"
        ) from error
