"""What a search shows on a screen: progress while it runs, and its front as a table."""

import math
from collections.abc import Sequence
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table

from rwejax.console import Display, ProgressBar, make_console, print_next, run_with_display
from rwejax.objectives import Objective, recorded
from rwejax.runtime.devices import follows, set_up_process
from rwejax.runtime.invocation import invocation
from rwejax.runtime.signals import run_interruptible
from rwejax.searching.config import SearchConfig
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import Progress, SearchObserver
from rwejax.searching.result import SearchResult


def run(config: SearchConfig, resumed: Path | None = None, observers: Sequence[SearchObserver] = ()) -> int:
    """Search, or resume a run, on a console.

    Args:
        config: the search.
        resumed: the run folder to resume instead; it has a config of its own.
        observers: are told of the progress besides; of several hosts, on the first.

    Returns:
        The exit code: 0, or 128 plus the number of the signal that ended the search.

    Raises:
        InputError: something that the user gave cannot be used.
    """
    set_up_process()
    console = make_console()
    if follows():
        return _follow(console, config, resumed)
    display = ConsoleObserver(console)
    every = [display, *observers]
    return run_with_display(
        display,
        lambda: (
            search(config, every)
            if resumed is None
            else resume(resumed, every, dataset=config.dataset, data_dir=config.data_dir)
        ),
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
    return run_interruptible(
        lambda: search(config) if resumed is None else resume(resumed),
        on_interrupt,
        lambda result: say(f"the search has ended after {len(result.evaluations)} evaluations"),
    )


class ConsoleObserver(Display[ProgressBar], SearchObserver):
    """Shows a bar on a terminal and in a notebook, and prints one line a generation elsewhere.

    In a `with` statement the bar is there before the search starts.

    Args:
        console: where to; by default standard output.

    Attributes:
        run_dir: the run folder; None until there is one.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.run_dir: Path | None = None
        super().__init__(console, ProgressBar)
        self._config, self._finished = SearchConfig(), 0

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """Say what is searched, and that compilation, which takes a while, comes next; nothing of a finished search.

        Args:
            config: the search.
            run_dir: its run folder.
            generation: finished generations; above 0 the search is resumed.
        """
        self.run_dir, self._config, self._finished = run_dir, config, generation
        if generation == config.generations:
            return
        how = "resuming" if generation else "searching"
        self.say(
            f"{how} {config.space_name} on {config.dataset}: {config.generations} generations of "
            f"{config.population_size} genomes, in {run_dir}"
        )
        hint = "compiling, once for all generations"
        if self.bars:
            self.bars.start()
            self._show((hint,), left="")
        else:
            self.say(hint)

    def on_images(self, summary: str) -> None:
        """Say what the images are."""
        self.say(summary)

    def on_generation(self, progress: Progress) -> None:
        """Show how far it is."""
        self._finished = progress.generation
        objectives = self._config.objectives
        units = [objective.unit for objective in objectives]
        unit = f" {' x '.join(units)}" if all(units) else ""
        facts = (
            f"{progress.evaluations_per_second:.3g} evaluations/s",
            f"hypervolume {progress.hypervolume:.5g}{unit}",
            f"best {objectives[0].write(progress.best)}" if math.isfinite(progress.best) else "no network has a score",
        )
        left = self.time_left(progress.seconds_left)
        if self.bars:
            self._show(facts, left)
        else:
            self.say("  ".join((f"{self._label():<18}", *facts, left)))

    def _show(self, facts: Sequence[str], left: str) -> None:
        assert self.bars
        self.bars.show(self._label(), self._finished, self._config.generations, left, facts)

    def _label(self) -> str:
        total = self._config.generations
        return f"generation {self._finished:>{len(str(total))}}/{total}"

    def on_interrupt(self, number: int) -> int:
        """Say how an interrupted search is resumed; returns the exit code for the signal."""
        self.close()
        if self.run_dir is None:
            self.say("interrupted before the search began")
        else:
            self.say(
                f"interrupted: {self._finished} of {self._config.generations} generations are saved; go on with\n"
                f"    {invocation('search', '--resume', self.run_dir, *self._config.code_flags)}"
            )
        return 128 + number


def print_result(console: Console, result: SearchResult) -> None:
    """Print the front as a table, where the rest is, and what to type next.

    Args:
        console: where to; its width decides where architectures are broken.
        result: of a search, finished or not.
    """
    config = result.config
    names = [each.name for each in config.objectives]
    names += [name for name in ("loo_error", "validation_error") if name in config.recorded]
    shown = [recorded(name) for name in dict.fromkeys(names) if name in config.recorded]
    title = f"front: {len(result.front)} of {len(result.evaluations)} evaluations"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for objective in shown:
        table.add_column(two_lines(objective), justify="right")
    table.add_column("macs\n(M)", justify="right")
    table.add_column("params\n(k)", justify="right")
    texts = [result.evaluations[row].architecture for row in result.front]
    # Lines break between the words of an architecture, unless a single word is too long for that.
    longest = max((len(word) for text in texts for word in text.split()), default=1)
    table.add_column("architecture", overflow="fold", min_width=min(longest, console.width // 2))
    for row, text in zip(result.front, texts, strict=True):
        evaluation = result.evaluations[row]
        scores = [each.number(each.minimised(evaluation.scores[each.name])) for each in shown]
        table.add_row(*scores, f"{evaluation.macs / 1e6:.3f}", f"{evaluation.params / 1e3:.1f}", text)
    console.print(table)
    failed = sum(evaluation.failed > 0 for evaluation in result.evaluations)
    if failed:
        console.print(f"{failed} evaluation{'s' * (failed != 1)} had no finite features or score, hence the worst one")
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)
    if len(result.front):
        print_next(console, "train", "--run", result.run_dir, "--pick", "knee", *config.space_flags)


def two_lines(objective: Objective) -> str:
    """A title, broken where the name of what is measured begins or, without one, at its unit."""
    first, _, second = objective.title.partition(" error")
    if second:
        return f"{first}\nerror{second}"
    return objective.title.replace(" (", "\n(").replace(" an image and class", "")
