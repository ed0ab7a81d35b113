"""Where the time of a search goes."""

import functools
import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rwejax import networks
from rwejax.evaluate.scoring import PopulationScorer
from rwejax.searching.config import SearchConfig
from rwejax.searching.observers import Progress, SearchObserver
from rwejax.searching.records import Run

PARTS = "evaluation", "planning", "ask", "tell", "recording", "other"


class Watch(SearchObserver):
    """Where the time of one search goes.

    Attributes:
        setup: seconds before the first generation.
        generations: for each generation the seconds of each of `PARTS`. Planning lowers genomes to programs; other is
            what belongs to no part, such as the hypervolume that is reported with the progress.
        first: what the first evaluation was called with, and the function, so that it can be called again.
        compiled: for each generation the compilations until its end.
    """

    def __init__(self, compilations: Sequence[str]) -> None:
        self.setup = 0.0
        self.generations: list[dict[str, float]] = []
        self.compiled: list[int] = []
        self.first: functools.partial[Any] | None = None
        self._compilations = compilations
        self._seconds: Counter[str] = Counter()
        self._inside: list[float] = []  # for each call that is going on, the seconds of the calls that it has made
        self._mark = time.perf_counter()
        self._thread = threading.get_ident()

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """The first generation begins."""
        self.setup = self._since_mark()

    def on_generation(self, progress: Progress) -> None:
        """A generation ends."""
        parts = {name: self._seconds[name] for name in PARTS}
        self.generations.append({**parts, "other": self._since_mark() - sum(parts.values())})
        self.compiled.append(len(self._compilations))
        self._seconds.clear()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the parts of the searches that run meanwhile."""
        module = importlib.import_module("rwejax.searching.loop")
        functions = [
            ("evaluation", PopulationScorer, "__call__"),
            ("planning", networks, "lower"),
            ("ask", module._Task, "ask"),
            ("tell", module._Task, "tell"),
            ("recording", module, "_records"),
            ("recording", Run, "record"),
        ]
        with ExitStack() as stack:
            for part, owner, name in functions:
                stack.enter_context(patch.object(owner, name, self._timed(part, getattr(owner, name))))
            yield

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != self._thread:  # what is compiled ahead, besides the first evaluation
                return function(*args, **options)
            if part == "evaluation" and self.first is None:
                self.first = functools.partial(function, *args, **options)
            start = time.perf_counter()
            self._inside.append(0.0)
            try:
                return function(*args, **options)
            finally:
                seconds = time.perf_counter() - start
                self._seconds[part] += seconds - self._inside.pop()
                if self._inside:
                    self._inside[-1] += seconds

        return timed

    def _since_mark(self) -> float:
        before, self._mark = self._mark, time.perf_counter()
        return self._mark - before
