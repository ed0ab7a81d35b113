"""Where the time of a loop goes: parts are named where they are done, and counted only where somebody asks."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Self

OTHER = "other"
"""The part of whatever belongs to no other."""


class Stopwatch:
    """Splits the time inside its `with` statement into parts, which add up to all of it.

    Only what its own thread does counts. A part inside another one counts for itself alone.

    Examples:
        >>> with Stopwatch() as stopwatch:
        ...     with part("evaluation"), part("planning"):
        ...         pass
        ...     sorted(stopwatch.lap())
        ['evaluation', 'other', 'planning']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._part, self._mark = OTHER, 0.0
        self._before: Stopwatch | None = None

    def __enter__(self) -> Self:
        self._before, _current.stopwatch = _current.stopwatch, self
        self._mark = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        _current.stopwatch = self._before

    def switch(self, name: str) -> str:
        """Count from now on as another part; returns the one that was counted until now."""
        now = time.perf_counter()
        self._seconds[self._part] += now - self._mark
        before, self._part, self._mark = self._part, name, now
        return before

    def lap(self) -> dict[str, float]:
        """Seconds of each part since the last lap, or since the start."""
        self.switch(self._part)
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds


class _Current(threading.local):
    """The stopwatch that runs on a thread."""

    stopwatch: Stopwatch | None = None


_current = _Current()


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """Count what is done inside as a part, if a stopwatch runs on this thread; a function's decorator too.

    Args:
        name: of the part.
    """
    stopwatch = _current.stopwatch
    if stopwatch is None:
        yield
        return
    before = stopwatch.switch(name)
    try:
        yield
    finally:
        stopwatch.switch(before)
