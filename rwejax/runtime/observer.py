"""What observers of searches, trainings and correlations have in common: however a run ends, they are closed."""

import contextlib
from collections.abc import Iterator, Sequence


class Observer:
    """Is told how something goes."""

    def close(self) -> None:
        """Close files, leave the screen: the run has ended, or was interrupted."""


@contextlib.contextmanager
def closing(observers: Sequence[Observer]) -> Iterator[None]:
    """Close all observers at the end, the last one first, even if one of them fails.

    Args:
        observers: of the run.
    """
    with contextlib.ExitStack() as stack:
        for observer in observers:
            stack.callback(observer.close)
        yield
