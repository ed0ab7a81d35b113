"""What a training shows on a screen: progress while it runs, and its accuracy."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rwejax.console import Display, ProgressBar, make_console, print_next, run_with_display
from rwejax.runtime.devices import set_up_process
from rwejax.runtime.invocation import invocation
from rwejax.storage.files import REPORT
from rwejax.training.config import TrainConfig
from rwejax.training.loop import resume, train
from rwejax.training.observers import TrainObserver
from rwejax.training.records import Epoch
from rwejax.training.result import TrainResult


def run(
    config: TrainConfig,
    resumed: Path | None = None,
    origin: Mapping[str, Any] | None = None,
    observers: Sequence[TrainObserver] = (),
) -> int:
    """Train, or resume a training, on a console.

    Args:
        config: the training.
        resumed: the run folder to resume instead; it has a config of its own.
        origin: where the architecture comes from.
        observers: are told of the progress besides.

    Returns:
        The exit code: 0, or 128 plus the number of the signal that ended it.

    Raises:
        InputError: something that the user gave cannot be used.
    """
    set_up_process()
    console = make_console()
    display = ConsoleObserver(console)
    every = [display, *observers]
    return run_with_display(
        display,
        lambda: (
            train(config, every, origin)
            if resumed is None
            else resume(resumed, every, dataset=config.dataset, data_dir=config.data_dir)
        ),
        lambda result: print_result(console, result),
    )


class ConsoleObserver(Display[ProgressBar], TrainObserver):
    """Shows a bar on a terminal and in a notebook, and prints one line an epoch elsewhere.

    In a `with` statement the bar is there before the training starts.

    Args:
        console: where to; by default standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console, ProgressBar)
        self._config, self._finished = TrainConfig(), 0
        self._run_dir: Path | None = None
        self._shown = 0.0
        self._left = ""

    def on_start(self, config: TrainConfig, run_dir: Path, epoch: int, macs: int, params: int) -> None:
        """Say what is trained, and that compilation, which takes a while, comes next; nothing of a finished training.

        Args:
            config: the training.
            run_dir: its run folder.
            epoch: finished epochs; above 0 the training is resumed.
            macs: multiply-adds of the network for one image.
            params: its parameters.
        """
        self._run_dir, self._config, self._finished = run_dir, config, epoch
        if epoch == config.epochs:
            return
        how = "resuming" if epoch else "training"
        self.say(
            f"{how} a {config.space_name} network of {macs / 1e6:.3g} M macs and {params / 1e3:.4g} k params on "
            f"{config.dataset} for {config.epochs} epochs, in {run_dir}"
        )
        hint = "compiling, once for all epochs"
        if self.bars:
            self.bars.start()
            self.bars.show(hint, 0, None, "", ())
        else:
            self.say(hint)

    def on_images(self, summary: str) -> None:
        """Say what the images are, and how they are changed."""
        self.say(summary)

    def on_step(self, step: int, steps: int) -> None:
        """Show how far the epoch is, at most ten times a second.

        Args:
            step: steps of the epoch that have begun.
            steps: all steps of the epoch.
        """
        if self.bars and step and time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            done = self._finished + step / steps
            self.bars.show(self._label(), done, self._config.epochs, self._left, self.bars.facts)

    def on_epoch(self, epoch: Epoch, seconds_left: float) -> None:
        """Show what the network can do.

        Args:
            epoch: what was measured after it.
            seconds_left: expected for the epochs that are missing.
        """
        self._finished = epoch.epoch
        facts = (
            f"loss {epoch.train_loss:.4f}",
            f"train {epoch.train_accuracy:.1f} %",
            f"validation {epoch.validation_accuracy:.1f} %",
            f"{epoch.seconds:.3g} s an epoch",
        )
        self._left = self.time_left(seconds_left)
        if self.bars:
            self.bars.show(self._label(), self._finished, self._config.epochs, self._left, facts)
        else:
            self.say("  ".join((f"{self._label():<14}", *facts, self._left)))

    def on_interrupt(self, number: int) -> int:
        """Say how an interrupted training is resumed; returns the exit code for the signal."""
        self.close()
        if self._run_dir is None:
            self.say("interrupted before the training began")
        else:
            self.say(
                f"interrupted: {self._finished} of {self._config.epochs} epochs are saved; go on with\n"
                f"    {invocation('train', '--resume', self._run_dir, *self._config.code_flags)}"
            )
        return 128 + number

    def _label(self) -> str:
        total = self._config.epochs
        return f"epoch {self._finished:>{len(str(total))}}/{total}"


def at_chance(accuracy: float, images: int, classes: int) -> str:
    """Says that an accuracy is one of guesses, if it is; else nothing.

    Args:
        accuracy: in %.
        images: that it was measured on; at most once in 40 times, guesses among so many seem to be more.
        classes: one of which is guessed, each as often as the others.
    """
    chance = 1 / classes
    if accuracy / 100 > chance + 2 * math.sqrt(chance * (1 - chance) / images):
        return ""
    return f", which is chance: guessing one of {classes} classes gives {100 * chance:.3g} %"


def print_result(console: Console, result: TrainResult) -> None:
    """Print what the network can do, where it is, and what to type next.

    Args:
        console: where to.
        result: of a training; its accuracy is printed if it was tested.
    """
    if test := result.test:
        chance = at_chance(test.test_accuracy, test.test_images, result.space.classes)
        console.print(
            f"test accuracy: {test.test_accuracy:.2f} % of {test.test_images} images{chance}",
            markup=False,
            soft_wrap=True,
        )
    if (result.run_dir / REPORT).exists():
        console.print(f"report: {result.run_dir / REPORT}", markup=False, soft_wrap=True)
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)
    folder = Path("exported") / result.run_dir.name
    print_next(console, "export", result.run_dir, folder, *result.config.space_flags)
