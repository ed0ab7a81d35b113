"""Compare searches: hypervolume over evaluations, mean and std over seeds, and the fronts.

Runs that differ only in their seed are a group. All are measured from one reference point. Of those that have trained
their front, the errors stand beside.

Examples:
  rwejax compare runs/nsga2-0 runs/nsga2-1 runs/random-0 runs/random-1 --output compare.csv
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from rwejax.cli.flags import load_files
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
        runs: run folders of searches with the same networks, images and objectives; they may still be at work.
        output: CSV file for the table, missing; the figure goes beside it, to NAME.png. None:
            runs/compare-SPACE-DATASET.csv, with a number where that exists.
        figure_format: png, or svg, of vectors.
        space: FILE.py:CLASS, where the runs are of a space of your own.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    output: Path | None = None
    figure_format: str = "png"
    space: str | None = None


def main(words: Sequence[str]) -> int:
    """Compare as the flags say, print the table; returns the exit code."""
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("compare"), description=__doc__)
    load_files(arguments.space)
    from rwejax.comparing.comparison import load_many
    from rwejax.comparing.output import print_comparison, record
    from rwejax.console import make_console

    comparison = load_many(arguments.runs)
    print_comparison(make_console(), comparison, *record(comparison, arguments.output, arguments.figure_format))
    return 0
