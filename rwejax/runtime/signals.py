"""How a command ends: its exit code; Ctrl-C, SIGTERM and SIGHUP, held back while a record is written, else answered."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from rwejax.errors import InputError

Result = TypeVar("Result")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 3.0  # seconds for Python to hear of a signal
_NOTICING = 0.1  # seconds from then on, in which Python would drop the exception
_UNWINDING = 15.0  # seconds for observers to be closed


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait until a record is whole.

    Any moment is safe for what is on disk; but Orbax, interrupted, prints its unfinished tasks over the screen.
    """
    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield
        return
    caught: list[int] = []
    try:
        with _handling(lambda number, _: caught.append(number)):
            yield
    finally:
        for number in caught[:1]:
            signal.raise_signal(number)


def run_interruptible(
    command: Callable[[], Result], on_interrupt: Callable[[int], int], show: Callable[[Result], None]
) -> int:
    """Run a command that a signal ends at any moment, and then show its result.

    A signal becomes a `KeyboardInterrupt(number)` in the main thread. Whatever a library makes of that on its way up,
    another exception or none, the command counts as interrupted.

    Python hears of a signal only between two of its own steps, and a compilation is one step. A thread that the signal
    wakes at once waits a little for the main thread to answer, and else ends the process: whatever the run folder holds
    at any moment can be resumed.

    Args:
        command: does the work. What it raises is passed on, if no signal came before.
        on_interrupt: given the signal's number, tells the user what is saved and returns the exit code.
        show: given the command's result, shows it; not called after an interruption.

    Returns:
        The exit code: 0, or after an interruption what `on_interrupt` returns, by custom 128 plus the signal's number.
    """
    interruption = _Interruption(on_interrupt)
    with interruption.watched():
        try:
            result = command()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                interruption.number = error.args[0] if error.args else signal.SIGINT
            if interruption.number is None:
                raise
        if interruption.number is not None:
            return interruption.answer()
    show(result)
    return 0


class _Interruption:
    """A signal that has come, or may come, and its answer, which is given once."""

    def __init__(self, on_interrupt: Callable[[int], int]) -> None:
        self.number: int | None = None
        self._on_interrupt, self._answering = on_interrupt, threading.Lock()
        self._heard, self._lost, self._ended = threading.Event(), threading.Event(), threading.Event()

    def answer(self) -> int:
        """Tell the user, and return the exit code; where the watcher does, this waits for the end of the process."""
        self._answering.acquire()
        return self._tell()

    def _tell(self) -> int:
        assert self.number is not None
        try:
            return self._on_interrupt(self.number)
        except (OSError, InputError):  # the terminal has gone, and there is nobody to tell
            return 128 + self.number

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        reading, writing = os.pipe()
        if hasattr(os, "set_blocking"):  # not on Windows before Python 3.12, which does not need it
            os.set_blocking(writing, False)
        watcher = threading.Thread(target=self._watch, args=(reading,), daemon=True)
        hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        try:
            with _handling(self._interrupt):
                before = signal.set_wakeup_fd(writing)
                watcher.start()
                try:
                    yield
                finally:
                    self._ended.set()
                    signal.set_wakeup_fd(before)
        finally:
            sys.unraisablehook = hook
            os.close(writing)  # the reader sees the end of the pipe, and the thread is over
            watcher.join()
            os.close(reading)

    def _interrupt(self, number: int, _: object) -> None:
        if self._ended.is_set():
            return
        self.number = number
        self._heard.set()
        raise KeyboardInterrupt(number)

    def _on_unraisable(self, unraisable: Any) -> None:
        """Python drops, after a traceback, what is raised while it frees an object."""
        if unraisable.exc_type is KeyboardInterrupt:
            self._lost.set()
        else:
            sys.__unraisablehook__(unraisable)

    def _watch(self, reading: int) -> None:
        while number := os.read(reading, 1):
            if number[0] not in _SIGNALS:
                continue
            if self._heard.wait(_PATIENCE):
                if self._lost.wait(_NOTICING):
                    self._lost.clear()
                    signal.raise_signal(number[0])
                    continue
                if self._ended.wait(_UNWINDING):
                    continue
            if self._answering.acquire(blocking=False):
                self.number = number[0]
                os._exit(self._tell())


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], Any]) -> Iterator[None]:
    """Handle signals, but those that are ignored on purpose, as nohup does with SIGHUP."""
    taken = [each for each in _SIGNALS if each == signal.SIGINT or signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, handler) for each in taken}
    try:
        yield
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command of the command line.

    What is wrong with its input goes to standard error in one sentence, with the code 2. A signal ends the process at
    once while there is nothing to save: in imports, which Ctrl-C can turn into any error, and while results are shown.

    Args:
        command: returns an exit code.
    """
    with _handling(_quit):
        try:
            return command()
        except InputError as error:
            return _refuse(error)
        except KeyboardInterrupt as interrupt:
            _quit(interrupt.args[0] if interrupt.args else signal.SIGINT, None)


def _refuse(error: InputError) -> int:
    with contextlib.suppress(OSError):
        print(f"error: {error}", file=sys.stderr)
    return 2


def _quit(number: int, _: object) -> NoReturn:
    with contextlib.suppress(Exception):  # the signal may have come amid a write
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


def outlast_exit() -> None:
    """Ignore signals while Python takes itself down, where they would kill it without a word; call this first of all.

    What libraries do at the exit, which may take a while, comes before that and can be interrupted.
    """
    atexit.register(lambda: [signal.signal(each, signal.SIG_IGN) for each in _SIGNALS])  # the first one runs last


def leave(code: int) -> NoReturn:
    """End the process.

    Args:
        code: its exit code.
    """
    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _quit)
    try:
        sys.stdout.flush()
    except InputError as error:
        os._exit(code or _refuse(error))
    if code:
        # XLA may still compile in its threads, and complains or aborts when Python is taken down around them.
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
