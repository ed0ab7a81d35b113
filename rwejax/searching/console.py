"""What a search shows on a screen: progress while it runs, and its front as a table."""

import signal
from pathlib import Path
from typing import Self

import jax
from rich.console import Console
from rich.table import Table

from rwejax.console import ProgressBar, duration, make_console, run_with_display
from rwejax.objectives import label
from rwejax.runtime.devices import follows, set_up_process
from rwejax.runtime.invocation import invocation
from rwejax.runtime.signals import interruptible
from rwejax.searching.config import SearchConfig
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import Progress, SearchObserver
from rwejax.searching.result import SearchResult


def run(config: SearchConfig, resumed: Path | None = None) -> int:
    """Search, or resume a run, on a console.

    Args:
        config: the search.
        resumed: the run folder to resume instead; it has a config of its own.

    Returns:
        The exit code: 0, or 128 plus the number of the signal that ended the search.

    Raises:
        InputError: something that the user gave cannot be used.
    """
    set_up_process()
    console = make_console()
    if follows():
        return _follow(console, config, resumed)
    observer = ConsoleObserver(console)
    return run_with_display(
        observer,
        lambda: search(config, observer) if resumed is None else resume(resumed, observer),
        lambda result: print_result(console, result),
    )


def _follow(console: Console, config: SearchConfig, resumed: Path | None) -> int:
    """The same on a host that another one leads, which says little."""

    def say(text: str) -> None:
        console.print(f"host {jax.process_index()} of {jax.process_count()}: {text}", markup=False, soft_wrap=True)

    def on_interrupt(number: int) -> int:
        say("interrupted, which ends the search on the other hosts too; host 0 has what is finished")
        return 128 + number

    say("evaluates its share of the search that host 0 leads")
    with interruptible(on_interrupt):
        try:
            result = search(config) if resumed is None else resume(resumed)
        except KeyboardInterrupt as interrupt:
            return on_interrupt(interrupt.args[0] if interrupt.args else signal.SIGINT)
    say(f"the search has ended after {len(result.evaluations)} evaluations")
    return 0


class ConsoleObserver(SearchObserver):
    """Shows a bar on a terminal, and prints one line a generation elsewhere.

    Use it in a `with` statement, which takes the bar away at the end.

    Attributes:
        run_dir: the run folder; None until there is one.
    """

    def __init__(self, console: Console) -> None:
        self.run_dir: Path | None = None
        self._console, self._config, self._finished = console, SearchConfig(), 0
        self._bar = ProgressBar(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """Say what is searched, and that compilation, which takes a while, comes next."""
        self.run_dir, self._config, self._finished = run_dir, config, generation
        if generation == config.generations:
            return
        how = "resuming" if generation else "searching"
        self._print(
            f"{how} {config.space_name} on {config.dataset}: {config.generations} generations of "
            f"{config.population_size} genomes, in {run_dir}"
        )
        hint = "compiling, once for all generations"
        if self._bar:
            self._show(hint, left="")
        else:
            self._print(hint)

    def on_generation(self, progress: Progress) -> None:
        """Show how far it is."""
        self._finished = progress.generation
        score, *others = self._config.shown
        unit = " % x M" if is_error(score) and not others else ""
        facts = (
            f"{progress.evaluations_per_second:.3g} evaluations/s",
            f"hypervolume {progress.hypervolume:.5g}{unit}",
            f"best {describe(score, progress.best if 'error' in score else -progress.best)}",
        )
        left = f"{duration(progress.seconds_left)} left"
        if self._bar:
            self._show("  ".join(facts), left)
        else:
            self._print("  ".join((f"{self._label():<18}", *facts, left)))

    def _show(self, facts: str, left: str) -> None:
        assert self._bar
        self._bar.show(self._label(), self._finished, self._config.generations, left, facts)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _label(self) -> str:
        total = self._config.generations
        return f"generation {self._finished:>{len(str(total))}}/{total}"

    def on_interrupt(self, number: int) -> int:
        """Say how an interrupted search is resumed; returns the exit code for the signal."""
        self.__exit__()
        if self.run_dir is None:
            self._print("interrupted before the search began")
        else:
            self._print(
                f"interrupted: {self._finished} of {self._config.generations} generations are saved; go on with\n"
                f"    {invocation('search', '--resume', self.run_dir, *self._config.code_flags)}"
            )
        return 128 + number


def print_result(console: Console, result: SearchResult) -> None:
    """Print the front as a table, and where the rest is."""
    config = result.config
    shown = [*config.shown, *(name for name in ("loo_error", "validation_error") if name in config.recorded)]
    shown = [name for name in dict.fromkeys(shown) if name in config.recorded]
    title = f"front: {len(result.front)} of {len(result.evaluations)} evaluations"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for name in shown:
        table.add_column(two_lines(label(name)), justify="right")
    table.add_column("macs\n(M)", justify="right")
    table.add_column("params\n(k)", justify="right")
    texts = [readable(config.space, result.evaluations[row].architecture) for row in result.front]
    # Lines break between the words of an architecture, unless a single word is too long for that.
    longest = max((len(word) for text in texts for word in text.split()), default=1)
    table.add_column("architecture", overflow="fold", min_width=min(longest, console.width // 2))
    for row, text in zip(result.front, texts, strict=True):
        evaluation = result.evaluations[row]
        scores = [f"{evaluation.scores[name]:{'.2f' if is_error(name) else '.4f'}}" for name in shown]
        table.add_row(*scores, f"{evaluation.macs / 1e6:.3f}", f"{evaluation.params / 1e3:.1f}", text)
    console.print(table)
    failed = sum(evaluation.failed > 0 for evaluation in result.evaluations)
    if failed:
        console.print(f"{failed} evaluation{'s' * (failed != 1)} had no finite features or score, hence the worst one")
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)


def readable(space: str, architecture: str) -> str:
    """The text of an architecture with a space between the phases of a macro genome, so that it can be read."""
    if space != "macro":
        return architecture
    bits = len(architecture) // 3
    return " ".join(architecture[start : start + bits] for start in range(0, len(architecture), bits))


def two_lines(label: str) -> str:
    """A score's label, broken where the name of what is measured begins or, without one, at its unit."""
    first, _, second = label.partition(" error")
    return f"{first}\nerror{second}" if second else label.replace(" (", "\n(").replace(" an image and class", "")


def is_error(score: str) -> bool:
    """Whether a score is in %."""
    return "(%)" in label(score)


def describe(score: str, value: float) -> str:
    """A score's name and value with its unit."""
    name, _, unit = label(score).partition(" (")
    return f"{name} {value:.2f} %" if is_error(score) else f"{name} {value:.4f} {unit.rstrip(')')}".rstrip()
