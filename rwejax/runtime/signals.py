"""How a command ends: its exit code; Ctrl-C and SIGTERM, held back while a record is written, else answered at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from rwejax.errors import InputError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 3.0  # seconds


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until a record is whole.

    Any moment is safe for what is on disk; but Orbax, interrupted, prints its unfinished tasks over the screen.
    """
    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield
        return
    caught: list[int] = []
    before = {each: signal.signal(each, lambda number, _: caught.append(number)) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in caught[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def interruptible(on_interrupt: Callable[[int], int]) -> Iterator[None]:
    """Make SIGTERM do what Ctrl-C does, and answer both even while XLA compiles.

    Python hears of a signal only between two of its own steps, and a compilation is one step. A thread that the signal
    wakes at once waits a little for the main thread to answer, and else ends the process: whatever the run folder holds
    at any moment can be resumed.

    Args:
        on_interrupt: given the signal's number, tells the user what is saved and returns the exit code.

    Returns:
        A context in which the main thread gets a `KeyboardInterrupt(number)`.
    """

    def interrupt(number: int, _: object) -> NoReturn:
        answered.set()
        raise KeyboardInterrupt(number)

    def watch() -> None:
        while number := os.read(reading, 1):
            if number[0] in _SIGNALS and not answered.wait(_PATIENCE):
                os._exit(on_interrupt(number[0]))

    answered = threading.Event()
    reading, writing = os.pipe()
    if hasattr(os, "set_blocking"):  # not on Windows before Python 3.12, which does not need it
        os.set_blocking(writing, False)
    before = {each: signal.signal(each, interrupt) for each in _SIGNALS}
    signal.set_wakeup_fd(writing)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(writing)  # the reader sees the end of the pipe, and the thread is over
        watcher.join()
        os.close(reading)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command: what is wrong with its input goes to standard error in one sentence, with the code 2."""
    try:
        return command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def leave(code: int) -> NoReturn:
    """End the process."""
    if code > 128:
        # XLA may still compile in its threads, and aborts when Python is taken down around them.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
