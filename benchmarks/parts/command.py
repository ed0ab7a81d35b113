"""How a benchmark is started, what it writes, and its exit code."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tyro
from matplotlib.figure import Figure

import rwejax
from rwejax.errors import InputError
from rwejax.storage.atomic import replacing

from .report import show

Config = TypeVar("Config")
Result = dict[str, Any]
Plot = Callable[[Result, Figure], None]


def start(config: type[Config], work: Callable[[Config], int | None]) -> int:
    """Use all cores, parse the command line, work.

    Args:
        config: dataclass of the options; `--help` begins with the docstring of its module.
        work: gives the exit code, None for 0.

    Returns:
        The exit code: also 2 where something cannot be used, and 130 after Ctrl-C.
    """
    rwejax.use_all_cores()
    options = tyro.cli(config, description=sys.modules[config.__module__].__doc__)
    try:
        return work(options) or 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def main(config: type[Any], measure: Callable[[Any], Result], plot: Plot | None = None) -> int:
    """A whole benchmark whose result is a JSON file: see `start` and `run`."""
    return start(config, lambda options: run(options.output, lambda: measure(options), plot=plot))


def run(
    output: Path | None, measure: Callable[[], Result], show: Callable[[Result], None] = show, plot: Plot | None = None
) -> int:
    """Measure, print, write.

    Args:
        output: JSON file for the result, if any.
        measure: gives the result.
        show: prints it; by default every figure.
        plot: draws it; the figure goes beside the JSON file, as PNG.

    Returns:
        The exit code: 1 where sides disagree.

    Raises:
        InputError: nothing can be measured.
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise InputError(f"output {str(output)!r} lies in a folder that does not exist: make it first")
    result = measure()
    show(result)
    write(result, output, plot)
    if result.get("agreement", {}).get("holds", True):
        return 0
    print("the sides disagree", file=sys.stderr)
    return 1


def write(result: Result, output: Path | None, plot: Plot | None = None) -> None:
    """Write a result where that is asked for, and its figure beside it."""
    if output is None:
        return
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
        plot(result, figure)
        with replacing(output.with_suffix(".png"), "wb") as file:
            figure.savefig(file, format="png", dpi=160)


def require(package: str, extra: str) -> None:
    """Refuse to go on without a package that `rwejax` itself does not need.

    Raises:
        InputError: it is missing.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{package} is missing: pip install 'rwejax[{extra}]'")
