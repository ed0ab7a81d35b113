"""Write what runs have found as a page, one HTML file that any browser shows: front, growth, networks, what comes next.

Examples:
  rwejax report runs/macro-digits-20260101-120000
  rwejax report runs/nsga2-0 runs/nsga2-1 runs/random-0 --output seeds.html
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from rwejax.cli.flags import load_files
from rwejax.runtime.invocation import invocation


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is reported where.

    Attributes:
        runs: run folders of searches, or of trainings; they may still be at work. Several are shown beside each other.
        output: HTML file, missing; None: report.html in the run folder, where it is written anew, or of several runs
            runs/report.html, with a number where that exists.
        space: FILE.py:CLASS, where the runs are of a space of your own.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    space: str | None = None


def main(words: Sequence[str]) -> int:
    """Write the page as the flags say; returns the exit code.

    Args:
        words: the flags.

    Raises:
        InputError: a folder holds no run, or the file exists or cannot be written.
    """
    arguments = tyro.cli(Arguments, args=list(words), prog=invocation("report"), description=__doc__)
    load_files(arguments.space)
    from rwejax.console import make_console
    from rwejax.reporting.from_run import report

    path = report(arguments.runs, arguments.output)
    make_console().print(f"report: {path}", markup=False, soft_wrap=True)
    return 0
