"""What has a page written when a run ends, however it ends."""

from collections.abc import Callable
from pathlib import Path

from rwejax.errors import abridged
from rwejax.runtime.invocation import invocation
from rwejax.searching.config import SearchConfig
from rwejax.searching.observers import SearchObserver
from rwejax.searching.records import Run
from rwejax.searching.result import SearchResult
from rwejax.storage.files import REPORT
from rwejax.training.config import TrainConfig
from rwejax.training.observers import TrainObserver
from rwejax.training.records import RESULT, Training
from rwejax.training.result import TrainResult

_DRAWINGS = 3
"""Networks that are drawn at the end of a run: each takes a fifth of a second, for which the user waits."""

_RECORDS = (*Run.appended, *Training.appended, RESULT)


class ReportObserver(SearchObserver, TrainObserver):
    """Writes report.html into the run folder when the run has ended or was interrupted; a failure is said in a line.

    A finished run that is only read keeps its page, if that is not older than what it shows.

    Args:
        say: is given the line; by default it is printed.
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self._say = say
        self._run_dir: Path | None = None

    def on_start(self, config: SearchConfig | TrainConfig, run_dir: Path, finished: int, *_: int) -> None:
        """Remember the run folder.

        Args:
            config: of the search or the training.
            run_dir: its run folder.
            finished: generations or epochs.
        """
        self._run_dir = run_dir

    def on_end(self, result: SearchResult | TrainResult) -> None:
        """Nothing: an interrupted run has a page, too.

        Args:
            result: not used.
        """

    def close(self) -> None:
        """Write the page. All that it shows is on disk, and stays as it is whatever happens here."""
        folder, self._run_dir = self._run_dir, None
        if folder is None or not _is_old(folder):
            return
        try:
            from rwejax.reporting.from_run import write_report  # takes a second to import

            write_report(folder, folder / REPORT, at_work=False, drawings=_DRAWINGS)
        except Exception as error:  # whatever it is, the run has done what it was asked for
            reason = abridged(" ".join(str(error).split()) or type(error).__name__, 300)
            self._say(f"{REPORT} was not written ({reason}): try again with {invocation('report', folder)}")


def _is_old(folder: Path) -> bool:
    """Whether the page is missing, or older than a record of the run."""
    records = [folder / name for name in _RECORDS]
    changed = max((path.stat().st_mtime_ns for path in records if path.exists()), default=0)
    page = folder / REPORT
    return not page.exists() or page.stat().st_mtime_ns < changed
