"""Where the time of a search goes."""

import time
from collections.abc import Sequence
from pathlib import Path

from rwejax.searching.config import SearchConfig
from rwejax.searching.observers import Progress, SearchObserver


class Watch(SearchObserver):
    """Where the time of one search goes, from the moment that this is made.

    Attributes:
        setup: seconds before the first generation.
        generations: for each generation the seconds of each of `rwejax.searching.observers.PARTS`.
        compiled: for each generation the compilations until its end.
    """

    def __init__(self, compilations: Sequence[str]) -> None:
        self.setup = 0.0
        self.generations: list[dict[str, float]] = []
        self.compiled: list[int] = []
        self._compilations, self._start = compilations, time.perf_counter()

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """The first generation begins."""
        self.setup = time.perf_counter() - self._start

    def on_generation(self, progress: Progress) -> None:
        """A generation ends."""
        self.generations.append(dict(progress.parts))
        self.compiled.append(len(self._compilations))
