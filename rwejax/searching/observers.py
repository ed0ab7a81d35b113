"""What is told of a search while it runs."""

import dataclasses
from pathlib import Path

from rwejax.searching.config import SearchConfig


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is after a generation.

    Attributes:
        generation: finished generations.
        evaluations: finished evaluations.
        best: lowest value of the first objective so far.
        hypervolume: what the evaluations dominate, in units of the scores times millions of macs. The reference is the
            worst sensible score of rwe, the first population's worst of any other estimator, and the largest macs of
            the space, or nearly so; meta.json has it.
        evaluations_per_second: in this generation.
        seconds_left: expected; from the generations of this process, the first one, which compiles, left out.
    """

    generation: int
    evaluations: int
    best: float
    hypervolume: float
    evaluations_per_second: float
    seconds_left: float


class SearchObserver:
    """Is told how a search goes; does nothing by itself, so override what is of interest."""

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """The run folder is there, and `generation` generations are finished; compilation comes next."""

    def on_generation(self, progress: Progress) -> None:
        """A generation was evaluated and recorded."""
