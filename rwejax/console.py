"""What a screen or a notebook shows: a bar while something works, and a sentence when it is interrupted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar

from rich import progress
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from rwejax.runtime.invocation import invocation
from rwejax.runtime.observer import Observer
from rwejax.runtime.signals import run_interruptible

Result = TypeVar("Result")
Bars = TypeVar("Bars", bound="LiveProgress")

_WIDTH_OF_A_FILE = 140  # columns, where there is no terminal to ask


def run_with_display(display: "Display[Any]", command: Callable[[], Result], show: Callable[[Result], None]) -> int:
    """Run a command that a display shows, and then show its result; see `run_interruptible`.

    Args:
        display: has the screen while the command runs, and answers an interruption.
        command: does the work.
        show: given the command's result, shows it; not called after an interruption.
    """

    def displayed() -> Result:
        with display:
            return command()

    return run_interruptible(displayed, display.on_interrupt, show)


def make_console() -> Console:
    """A console for standard output."""
    console = Console(highlight=False, soft_wrap=False)
    return console if is_live(console) else Console(highlight=False, width=_WIDTH_OF_A_FILE)


def is_live(console: Console) -> bool:
    """Whether what is shown can be replaced: on a terminal and in a notebook, but not in a file."""
    return console.is_terminal or console.is_jupyter


class LiveProgress(progress.Progress):
    """Bars that go away when they are stopped; in a notebook they are one output, which stays as it was at last.

    Rich's own in notebooks needs ipywidgets, and warns without them.

    Args:
        columns: of each bar.
        console: where it is.
    """

    def __init__(self, *columns: progress.ProgressColumn, console: Console) -> None:
        self._notebook = console.is_jupyter
        self._output: Any = None
        super().__init__(*columns, console=console, transient=True)

    def start(self) -> None:
        """Begin to show."""
        if not self._notebook:
            super().start()
        elif self._output is None:
            from IPython.display import display

            self._output = display(self, display_id=True)

    def stop(self) -> None:
        """Show no more changes."""
        if self._notebook:
            self._output = None
        else:
            super().stop()

    def refresh(self) -> None:
        """Show what has changed."""
        if self._output is not None:
            self._output.update(self)
        else:
            super().refresh()


class ProgressBar(LiveProgress):
    """A bar, and under it facts: a line that fits a terminal of 80 columns, or a table in a notebook.

    Args:
        console: where it is, a terminal or a notebook.

    Attributes:
        facts: what was shown last.
    """

    def __init__(self, console: Console) -> None:
        text = progress.TextColumn("{task.description}"), progress.TextColumn("{task.fields[left]}")
        columns = progress.SpinnerColumn(), text[0], progress.BarColumn(bar_width=None), text[1]
        self.facts: Sequence[str] = ()  # which are asked for as soon as there is a bar
        super().__init__(*columns, console=console)
        self._task = self.add_task("loading images", total=None, left="")

    def show(self, label: str, done: float, total: int | None, left: str, facts: Sequence[str]) -> None:
        """Show how far it is; without a total, that something goes on.

        Args:
            label: what is counted, before the bar.
            done: how many are done, in the unit of `total`; a fraction moves the bar within one of them.
            total: how many there are; None: unknown.
            left: how long it will take, behind the bar; may be empty.
            facts: short texts under the bar, the important ones first, since a narrow terminal cuts the line short.
        """
        self.facts = facts
        self.update(self._task, description=label, total=total, completed=done, left=left, refresh=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        """The bar and the facts."""
        yield self.make_tasks_table(self.tasks)
        if self._notebook:
            table = Table.grid(padding=(0, 3))
            table.add_row(*map(Text, self.facts))
            yield table
        else:
            yield Text("  ".join(self.facts), no_wrap=True, overflow="ellipsis")


class Display(Observer, ABC, Generic[Bars]):
    """An observer with a screen: bars where it is live, else lines.

    In a `with` statement the bars are there before the work starts.

    Args:
        console: where to; by default standard output.
        bars: makes the bars.

    Attributes:
        console: where to.
        bars: None where it is not live.
    """

    def __init__(self, console: Console | None, bars: Callable[[Console], Bars]) -> None:
        self.console = console or make_console()
        self.bars = bars(self.console) if is_live(self.console) else None
        self._first = True

    def __enter__(self) -> Self:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self.bars:
            self.bars.stop()

    def say(self, text: str) -> None:
        """Print a line, above the bars."""
        self.console.print(text, markup=False, soft_wrap=True)

    def time_left(self, seconds: float) -> str:
        """How long it will take: at most so long, as long as only the first step is known, which has compiled.

        Args:
            seconds: expected.
        """
        most = "at most " if self._first and seconds > 0 else ""
        self._first = False
        return f"{most}{duration(seconds)} left"

    @abstractmethod
    def on_interrupt(self, number: int) -> int:
        """Say what an interruption by a signal leaves; returns the exit code."""


def duration(seconds: float) -> str:
    """Seconds as 12 s, 3 min 05 s or 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole // 60 % 60:02d} min"


def print_next(console: Console, command: str, *words: object) -> None:
    """Print the command line to copy next, on a line of its own.

    Args:
        console: where it is printed, without breaks, so that it can be copied whole.
        command: the subcommand.
        words: what follows it; each is quoted for a shell.
    """
    console.print(f"next: {invocation(command, *words)}", markup=False, soft_wrap=True)
