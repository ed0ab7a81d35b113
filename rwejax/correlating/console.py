"""What correlations show on a screen: progress while one runs, and their tables."""

from collections.abc import Sequence

from rich import progress
from rich.console import Console
from rich.table import Table

from rwejax.console import Display, LiveProgress, make_console, print_next, run_with_display
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.loop import correlate
from rwejax.correlating.output import figure_path, scores_path
from rwejax.correlating.result import CorrelateObserver, CorrelateResult, CorrelateRunsResult, Measured
from rwejax.objectives import COMPLEXITY
from rwejax.runtime.devices import set_up_process

_UNDEFINED = "-"
_SHOWN = 5  # rows of a table that are left out


def run(config: CorrelateConfig) -> int:
    """Correlate on a console.

    Args:
        config: which estimators, which accuracies.

    Returns:
        The exit code: 0, or 128 plus the number of the signal that ended it.

    Raises:
        InputError: something that the user gave cannot be used.
    """
    set_up_process()
    console = make_console()
    display = ConsoleObserver(console)

    def show(result: CorrelateResult) -> None:
        print_result(console, result)
        print_search(console, result)

    return run_with_display(display, lambda: correlate(config, [display]), show)


class ConsoleObserver(Display[LiveProgress], CorrelateObserver):
    """Shows a bar for each estimator on a terminal and in a notebook, and prints a line when one is finished elsewhere.

    Args:
        console: where to; by default standard output.

    Attributes:
        result: what is measured so far; None until the networks are drawn.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.result: CorrelateResult | None = None
        super().__init__(console, _bars)
        self._tasks: dict[str, progress.TaskID] = {}

    def on_start(self, result: CorrelateResult) -> None:
        """Say what is compared, and whether there are fewer networks than asked for."""
        self.result = result
        config, networks = result.config, len(result.values)
        self.say(
            f"correlating {', '.join(config.estimators)} on {config.dataset} with {config.column} of {networks} "
            f"{config.space_name} networks"
        )
        if networks < config.sample:
            self.say(f"the table has only {networks} networks of the {config.sample} asked for: all are taken")
        print_skipped(self.console, result.skipped)
        if self.bars:
            self.bars.start()

    def on_slice(self, estimator: str, networks: int) -> None:
        """Show how far an estimator is.

        Args:
            estimator: its name.
            networks: how many of the sample it has scored.
        """
        if not self.bars or not self.result:
            return
        if estimator not in self._tasks:
            self._tasks[estimator] = self.bars.add_task(estimator, total=len(self.result.values))
        self.bars.update(self._tasks[estimator], completed=networks, refresh=True)

    def on_estimator(self, result: CorrelateResult) -> None:
        """Say what an estimator got."""
        self.result = result
        measured = result.measured[-1]
        if not self.bars:
            self.say(
                f"{measured.estimator}: Spearman {_interval(measured)}, {_seconds(measured)} s a network, "
                f"and {measured.compile_seconds:.1f} s to compile"
            )

    def on_interrupt(self, number: int) -> int:
        """Show what an interrupted correlation has measured; returns the exit code for the signal."""
        self.close()
        if self.result is None or not self.result.measured:
            self.say("interrupted before an estimator was finished: nothing is saved")
        else:
            print_result(self.console, self.result)
            measured = {each.estimator for each in self.result.measured}
            missing = [given for name, given in self.result.config.references.items() if name not in measured]
            self.say(
                f"interrupted: measure the others with --estimator {','.join(missing)} and another --output"
                if missing
                else "interrupted when all was measured"
            )
        return 128 + number


def print_result(console: Console, result: CorrelateResult) -> None:
    """Print the table, and where the rest is.

    Args:
        console: where to.
        result: of a correlation; each estimator that is finished gets a row.
    """
    title = f"{result.config.column} of {len(result.values)} {result.config.space_name} networks"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    table.add_column("estimator", overflow="fold")
    for name in (
        "Spearman\n(95 % interval)",
        "Kendall",
        "given\nmacs",
        "in quartiles\nof macs",
        "top tenth\nfound (%)",
        "s a\nnetwork",
        "dead",
    ):
        table.add_column(name, justify="right")
    for measured in result.measured:
        found = measured.correlation
        table.add_row(
            measured.estimator,
            _interval(measured),
            _defined(found.kendall),
            _defined(found.partial),
            _defined(found.quartiles),
            f"{100 * found.recall:.0f}",
            _seconds(measured),
            str(measured.dead),
        )
    console.print(table)
    console.print(f"table: {result.output}", markup=False, soft_wrap=True)
    console.print(f"scores: {scores_path(result.output)}", markup=False, soft_wrap=True)


def print_skipped(console: Console, skipped: Sequence[str]) -> None:
    """Say how many rows of a table were left out, and why the first of them; nothing where there are none.

    Args:
        console: where to.
        skipped: a sentence a row.
    """
    if skipped:
        rows = "1 row of the table is" if len(skipped) == 1 else f"{len(skipped)} rows of the table are"
        lines = [f"{rows} left out:", *skipped[:_SHOWN], *["..."] * (len(skipped) > _SHOWN)]
        console.print("\n    ".join(lines), markup=False, soft_wrap=True)


def print_search(console: Console, result: CorrelateResult) -> None:
    """Print the search by the estimator that ranks best, if one certainly ranks better than chance.

    That is certain where the 95 % interval of its Spearman correlation lies above 0. Macs and params do not count.

    Args:
        console: where to.
        result: of a correlation; the search gets its space, sizes and dataset.
    """
    able = [each for each in result.measured if each.estimator not in COMPLEXITY and each.correlation.low > 0]
    if not able:
        return
    best, config = max(able, key=lambda each: each.correlation.spearman), result.config
    named = ("space", "dataset", "data_dir", "image_size", "nodes", "layers", "cells", "channels")
    flags = [(f"--{name.replace('_', '-')}", getattr(config, name)) for name in named]
    words = [word for flag, value in flags if value is not None for word in (flag, value)]
    print_next(console, "search", *words, "--estimator", best.estimator)


def print_runs(result: CorrelateRunsResult) -> None:
    """Print the correlation inside each generation of searches, and where the rest is."""
    console = make_console()
    print_skipped(console, result.skipped)
    runs = len(result.runs)
    title = f"{result.config.column} in {runs} run{'s' * (runs != 1)} of {result.space}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for name in ("generation", "Spearman", "std", "evaluated", "known"):
        table.add_column(name, justify="right")
    for number, (mean, std) in enumerate(zip(result.mean, result.std, strict=True)):
        counts = result.evaluated[:, number].sum(), result.known[:, number].sum()
        table.add_row(str(number + 1), _defined(mean), _defined(std), *map(str, counts))
    console.print(table)
    unknown = result.evaluated.sum() - result.known.sum()
    if unknown:
        console.print(f"{unknown} of {result.evaluated.sum()} genomes are not in the table and were left out")
    console.print(f"table: {result.output}", markup=False, soft_wrap=True)
    console.print(
        f"figure: {figure_path(result.output, figure_format=result.config.figure_format)}", markup=False, soft_wrap=True
    )


def _bars(console: Console) -> LiveProgress:
    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    return LiveProgress(*columns, console=console)


def _interval(measured: Measured) -> str:
    found = measured.correlation
    return f"{_defined(found.spearman)} ({_defined(found.low)} to {_defined(found.high)})"


def _defined(value: float) -> str:
    return _UNDEFINED if value != value else f"{value:.2f}"


def _seconds(measured: Measured) -> str:
    value = f"{measured.seconds:.2g}" if measured.seconds >= 1e-3 else "<0.001"
    return value if measured.together == 1 else f"{value} (of {measured.together})"
