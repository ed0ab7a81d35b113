"""What a search shows on a screen: progress while it runs, and its front as a table."""

import shlex
import signal
import sys
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from rwejax.config import SCORES, SearchConfig
from rwejax.search import Observer, Progress, SearchResult, resume, search
from rwejax.signals import answering

_WIDTH_OF_A_FILE = 140  # columns, where there is no terminal to ask


def run(config: SearchConfig, resumed: Path | None = None) -> int:
    """Search, or take up a run, on a console.

    Args:
        config: the search.
        resumed: the run folder to take up instead; it has a config of its own.

    Returns:
        The exit code: 0, or 128 plus the number of the signal that ended the search.

    Raises:
        InputError: something that the user gave cannot be used.
    """
    console = make_console()
    with ConsoleObserver(console) as observer, answering(observer.say_goodbye):
        try:
            result = search(config, observer) if resumed is None else resume(resumed, observer)
        except KeyboardInterrupt as interrupt:
            return observer.say_goodbye(interrupt.args[0] if interrupt.args else signal.SIGINT)
    print_result(console, result)
    return 0


def make_console() -> Console:
    """A console for standard output."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_FILE)


class ConsoleObserver(Observer):
    """Shows a bar on a terminal and elsewhere prints one line a generation.

    Use it in a `with` statement, which takes the bar away at the end.

    Attributes:
        run_dir: the run folder; None until there is one.
    """

    def __init__(self, console: Console) -> None:
        self.run_dir: Path | None = None
        self._console, self._config, self._task = console, SearchConfig(), TaskID(0)
        self._finished = 0
        self._bar: Bar | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20))
            self._bar = Bar(*columns, TextColumn("{task.fields[facts]}"), console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("loading", total=None, facts="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """Say what is searched, and that compilation, which takes the first minute, is under way."""
        self.run_dir, self._config, self._finished = run_dir, config, generation
        if generation == config.generations:
            return
        how = "resuming" if generation else "searching"
        self._console.print(
            f"{how} {config.space} on {config.dataset}: {config.generations} generations of "
            f"{config.population_size} genomes, in {run_dir}",
            markup=False,
        )
        hint = "compiling, once for all generations"
        if self._bar:
            total, label = config.generations, self._label(generation)
            self._bar.update(self._task, description=label, total=total, completed=generation, facts=hint, refresh=True)
        else:
            self._console.print(hint)

    def on_generation(self, progress: Progress) -> None:
        """Show how far it is."""
        self._finished = progress.generation
        sign = -1 if self._config.score == "log_evidence" else 1
        facts = (
            f"{progress.evaluations_per_second:.3g} evaluations/s",
            f"hypervolume {progress.hypervolume:.5g}{' % x M' if is_error(self._config.score) else ' x M'}",
            f"best {describe(self._config.score, sign * progress.best)}",
            f"{duration(progress.seconds_left)} left",
        )
        label = self._label(progress.generation)
        if self._bar:
            self._bar.update(self._task, description=label, completed=progress.generation, facts="  ".join(facts))
        else:
            self._console.print("  ".join((f"{label:<18}", *facts)), markup=False)

    def say_goodbye(self, number: int) -> int:
        """Say how an interrupted search is taken up again; returns the exit code for the signal."""
        self.__exit__()
        if self.run_dir is None:
            self._console.print("interrupted before the search began")
        else:
            self._console.print(
                f"interrupted: {self._finished} of {self._config.generations} generations are saved; go on with\n"
                f"    python {shlex.quote(sys.argv[0])} --resume {shlex.quote(str(self.run_dir))}",
                markup=False,
                soft_wrap=True,
            )
        return 128 + number

    def _label(self, generation: int) -> str:
        return f"generation {generation:>{len(str(self._config.generations))}}/{self._config.generations}"


def print_result(console: Console, result: SearchResult) -> None:
    """Print the front as a table, and where the rest is."""
    config = result.config
    shown = ["loo_error", "validation_error"]
    shown = [config.score] + [name for name in shown if name != config.score]
    title = f"front: {len(result.front)} of {len(result.evaluations)} evaluations"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for name in shown:
        label = SCORES[name].replace(" (nats an image and class)", " (nats)")
        table.add_column(label, justify="right", overflow="fold")
    table.add_column("macs (M)", justify="right")
    table.add_column("params (k)", justify="right")
    table.add_column("generation", justify="right")
    table.add_column("architecture", overflow="fold")
    for row in result.front:
        evaluation = result.evaluations[row]
        scores = [f"{getattr(evaluation, name):{'.2f' if is_error(name) else '.4f'}}" for name in shown]
        sizes = f"{evaluation.macs / 1e6:.3f}", f"{evaluation.params / 1e3:.1f}", str(evaluation.generation)
        table.add_row(*scores, *sizes, readable(config.space, evaluation.architecture))
    console.print(table)
    failed = sum(evaluation.failed > 0 for evaluation in result.evaluations)
    if failed:
        console.print(f"{failed} evaluations had NaN or infinite features and got the worst score")
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)


def readable(space: str, architecture: str) -> str:
    """The text of an architecture with a space between the phases of a macro genome, so that it can be read."""
    if space != "macro":
        return architecture
    bits = len(architecture) // 3
    return " ".join(architecture[start : start + bits] for start in range(0, len(architecture), bits))


def is_error(score: str) -> bool:
    """Whether a score is in %."""
    return "(%)" in SCORES[score]


def describe(score: str, value: float) -> str:
    """A score's name and value with its unit."""
    name, _, unit = SCORES[score].partition(" (")
    return f"{name} {value:.2f} %" if is_error(score) else f"{name} {value:.4f} {unit.rstrip(')')}".rstrip()


def duration(seconds: float) -> str:
    """Seconds as 12 s, 3 min 05 s or 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole // 60 % 60:02d} min"
