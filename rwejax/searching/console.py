"""What a search shows on a screen: progress while it runs, and its front as a table."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
from rich.console import Console
from rich.table import Table

from rwejax.console import Display, ProgressBar, duration, make_console, print_next, run_with_display
from rwejax.objectives import Objective, recorded
from rwejax.runtime.devices import follows, set_up_process
from rwejax.runtime.invocation import invocation
from rwejax.runtime.signals import run_interruptible
from rwejax.searching.config import SearchConfig
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import Progress, SearchObserver, TrainingPlan, TrainingProgress
from rwejax.searching.result import SearchResult
from rwejax.searching.trained.verdict import judge
from rwejax.storage.files import REPORT
from rwejax.storage.trainings import TrainedNetwork

if TYPE_CHECKING:
    from rwejax.evaluate.trust import Trust


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
        self._plan, self._trained = TrainingPlan(0, 0, math.nan), 0
        self._calibrating, self._labels = False, 0

    def on_start(self, config: SearchConfig, run_dir: Path, generation: int) -> None:
        """Say what is searched, and that compilation, which takes a while, comes next; nothing of a finished search.

        Args:
            config: the search.
            run_dir: its run folder.
            generation: finished generations; above 0 the search is resumed.
        """
        self.run_dir, self._config, self._finished = run_dir, config, generation
        if generation == config.generations:
            return  # what is still to be trained says so itself
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

    def on_calibration(self, plan: TrainingPlan, labels: int, finished: int) -> None:
        """Say once what is trained to predict by, or that there is no time for it.

        Args:
            plan: of the training.
            labels: how many networks.
            finished: how many of them are.
        """
        self._labels = finished
        if self._calibrating:
            return
        self._calibrating = True
        if plan.epochs == 0:
            self.say(
                "the search goes by its score alone, for there are too few minutes to train networks to predict by"
            )
        else:
            self.say(f"training {labels} networks, {plan.epochs} epochs each, to predict the error of all others by")

    def on_label(self, network: TrainedNetwork, finished: int, labels: int) -> None:
        """Show a network that was trained to predict by.

        Args:
            network: what it can do.
            finished: how many are.
            labels: how many there are going to be.
        """
        self._labels = finished
        self._show_trained(f"label {finished:>{len(str(labels))}}/{labels}", network, finished, labels, "")

    def on_calibrated(self, trust: "Trust") -> None:
        """Say what the predictions are worth."""
        self.say(trust.judgement)

    def on_finalists(self, plan: TrainingPlan, finished: int) -> None:
        """Say what is trained, or that there is no time for it.

        Args:
            plan: of the training.
            finished: networks that are.
        """
        self._plan, self._trained = plan, finished
        if plan.epochs == 0:
            minutes = math.ceil(plan.minutes)
            self.say(
                f"the networks of the front are not trained: that takes {minutes} minutes if it is to mean something; "
                f"give --training-minutes {minutes} or more"
            )
            return
        takes = "" if math.isnan(plan.minutes) else f", in {duration(60 * plan.minutes)}"
        self.say(
            f"training the front, random networks of its sizes and a plain CNN: {plan.networks} networks, "
            f"{plan.epochs} epochs each{takes}"
        )
        if self.bars:
            self.bars.show(self._training(), finished, plan.networks, "", ())

    def on_trained(self, progress: TrainingProgress) -> None:
        """Show how far the training is."""
        self._trained = progress.finished
        left = f"{duration(progress.seconds_left)} left"
        self._show_trained(self._training(), progress.network, self._trained, self._plan.networks, left)

    def _show_trained(self, label: str, network: TrainedNetwork, done: int, total: int, left: str) -> None:
        facts = (
            f"{network.role}, multiply-adds {network.macs / 1e6:.3f} M",
            f"error {network.validation_error:.2f} +- {network.standard_error:.2f} %",
        )
        if self.bars:
            self.bars.show(label, done, total, left, facts)
        else:
            self.say("  ".join((f"{label:<18}", *facts, left)).rstrip())

    def _training(self) -> str:
        total = self._plan.networks
        return f"network {self._trained:>{len(str(total))}}/{total}"

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
            saved = f"{self._finished} of {self._config.generations} generations"
            if self._labels:
                saved += f" and {self._labels} networks trained to predict by"
            if self._plan.networks:
                saved += f" and {self._trained} of {self._plan.networks} trained networks"
            self.say(
                f"interrupted: {saved} are saved; go on with\n"
                f"    {invocation('search', '--resume', self.run_dir, *self._config.code_flags)}"
            )
        return 128 + number


def print_result(console: Console, result: SearchResult) -> None:
    """Print the front as a table, whether it beats chance, where the rest is, and what to type next.

    Args:
        console: where to; its width decides where architectures are broken.
        result: of a search, finished or not.
    """
    config, front = result.config, result.outcome
    console.print(_table(result, console.width))
    failed = sum(evaluation.failed > 0 for evaluation in result.evaluations)
    if failed:
        console.print(f"{failed} evaluation{'s' * (failed != 1)} had no finite features or score, hence the worst one")
    if len(front.fallen):
        console.print("in brackets: trained too, and not on the front", markup=False)
    if result.forecast is not None:
        console.print(result.forecast.check().judgement, markup=False, soft_wrap=True)
    if front.final:
        for sentence in judge(result.trained).sentences:
            console.print(sentence, markup=False, soft_wrap=True)
    if (result.run_dir / REPORT).exists():
        console.print(f"report: {result.run_dir / REPORT}", markup=False, soft_wrap=True)
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)
    if len(front.rows):
        print_next(console, "train", "--run", result.run_dir, "--pick", "knee", *config.space_flags)


def _table(result: SearchResult, width: int) -> Table:
    """A row each network of the front, and below, in brackets, those that have fallen out when they were trained."""
    config, front = result.config, result.outcome
    names = [each.name for each in config.objectives]
    names += [name for name in ("loo_error", "validation_error") if name in config.recorded]
    shown = [recorded(name) for name in dict.fromkeys(names) if name in config.recorded]
    title = f"front: {len(front.rows)} of {len(result.evaluations)} evaluations"
    if front.final:
        epochs = result.trained[0].epochs
        title = f"front: {len(front.rows)} of {len(front.finalists)} networks that were trained for {epochs} epochs"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    forecast = result.forecast
    learned = ["error when\ntrained (%)"] * front.final + ["predicted\nerror (%)"] * (forecast is not None)
    for heading in learned + [two_lines(each) for each in shown]:
        table.add_column(heading, justify="right")
    table.add_column("macs\n(M)", justify="right")
    table.add_column("params\n(k)", justify="right")
    rows = [*front.rows, *front.fallen] if front.final else front.rows
    texts = [result.evaluations[row].architecture for row in rows]
    # Lines break between the words of an architecture, unless a single word is too long for that.
    longest = max((len(word) for text in texts for word in text.split()), default=1)
    table.add_column("architecture", overflow="fold", min_width=min(longest, width // 2))
    for row, text in zip(rows, texts, strict=True):
        evaluation, on = result.evaluations[row], row in front.rows
        error = f"{front.error[row]:.1f} +- {front.standard_error[row]:.1f}"
        errors = [error if on else f"({error})"] * front.final
        if forecast is not None:
            errors.append(f"{forecast.error[row]:.1f} +- {forecast.std[row]:.1f}")
        scores = [each.number(each.minimised(evaluation.scores[each.name])) for each in shown]
        complexity = f"{evaluation.macs / 1e6:.3f}", f"{evaluation.params / 1e3:.1f}"
        table.add_row(*errors, *scores, *complexity, text, style=None if on else "dim")
    return table


def two_lines(objective: Objective) -> str:
    """A title, broken where the name of what is measured begins or, without one, at its unit."""
    first, _, second = objective.title.partition(" error")
    if second:
        return f"{first}\nerror{second}"
    return objective.title.replace(" (", "\n(").replace(" an image and class", "")
