"""What a training shows on a screen: progress while it runs, and its accuracy."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from rwejax.console import ProgressBar, duration, is_live, make_console, print_next, run_with_display
from rwejax.runtime.devices import set_up_process
from rwejax.runtime.invocation import invocation
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


class ConsoleObserver(TrainObserver):
    """Shows a bar on a terminal and in a notebook, and prints one line an epoch elsewhere.

    In a `with` statement the bar is there before the training starts.

    Args:
        console: where to; by default standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console, self._config, self._finished = console or make_console(), TrainConfig(), 0
        self._run_dir: Path | None = None
        self._bar = ProgressBar(self._console) if is_live(self._console) else None
        self._shown = 0.0
        self._left = ""

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()

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
        self._print(
            f"{how} a {config.space_name} network of {macs / 1e6:.3g} M macs and {params / 1e3:.4g} k params on "
            f"{config.dataset} for {config.epochs} epochs, in {run_dir}"
        )
        hint = "compiling, once for all epochs"
        if self._bar:
            self._bar.start()
            self._bar.show(hint, 0, None, "", ())
        else:
            self._print(hint)

    def on_step(self, step: int, steps: int) -> None:
        """Show how far the epoch is, at most ten times a second.

        Args:
            step: steps of the epoch that have begun.
            steps: all steps of the epoch.
        """
        if self._bar and step and time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            done = self._finished + step / steps
            self._bar.show(self._label(), done, self._config.epochs, self._left, self._bar.facts)

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
        self._left = f"{duration(seconds_left)} left"
        if self._bar:
            self._bar.show(self._label(), self._finished, self._config.epochs, self._left, facts)
        else:
            self._print("  ".join((f"{self._label():<14}", *facts, self._left)))

    def on_interrupt(self, number: int) -> int:
        """Say how an interrupted training is resumed; returns the exit code for the signal."""
        self.close()
        if self._run_dir is None:
            self._print("interrupted before the training began")
        else:
            self._print(
                f"interrupted: {self._finished} of {self._config.epochs} epochs are saved; go on with\n"
                f"    {invocation('train', '--resume', self._run_dir, *self._config.code_flags)}"
            )
        return 128 + number

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _label(self) -> str:
        total = self._config.epochs
        return f"epoch {self._finished:>{len(str(total))}}/{total}"


def print_result(console: Console, result: TrainResult) -> None:
    """Print what the network can do, where it is, and what to type next.

    Args:
        console: where to.
        result: of a training; its accuracy is printed if it was tested.
    """
    if test := result.test:
        console.print(f"test accuracy: {test.test_accuracy:.2f} % of {test.test_images} images", markup=False)
    console.print(f"run folder: {result.run_dir}", markup=False, soft_wrap=True)
    folder = Path("exported") / result.run_dir.name
    print_next(console, "export", result.run_dir, folder, *result.config.space_flags)
