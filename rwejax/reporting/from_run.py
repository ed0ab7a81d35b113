"""From run folders to pages on disk."""

import os
from collections.abc import Sequence
from pathlib import Path

from rwejax.errors import InputError
from rwejax.loading import kind_of
from rwejax.reporting.drawings import write_drawings
from rwejax.searching.records import Run
from rwejax.storage.atomic import replacing
from rwejax.storage.files import REPORT
from rwejax.storage.output import free_output, writing
from rwejax.storage.run_dir import is_in_use

MOST_DRAWINGS = 12


def report(runs: str | Path | Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Write what runs have found as a page: one HTML file that needs nothing else, to be opened by a browser.

    Args:
        runs: run folder of a search or a training, which may still be at work; or folders of several searches, or of
            several trainings, that are shown beside each other.
        output: the HTML file, missing; None: report.html in the run folder, where it is written anew, or of several
            runs runs/report.html, with a number where that exists.

    Returns:
        The file.

    Raises:
        InputError: a folder holds no run, or is broken, or the runs cannot be compared, or the file exists or cannot be
            written.
    """
    given = [runs] if isinstance(runs, str | Path) else list(runs)
    folders = [Path(each) for each in {os.path.realpath(each): each for each in given}.values()]
    if not folders:
        raise InputError("no run is named: give run folders")
    if output is None and len(folders) == 1:
        return write_report(folders[0], folders[0] / REPORT, is_in_use(folders[0]))
    path = free_output(None if output is None else Path(output), "report", lambda path: [path], ".html")
    if len(folders) == 1:
        return write_report(folders[0], path, is_in_use(folders[0]))
    from rwejax.reporting.several_report import make_page

    return _write(path, make_page(folders, path))


def write_report(folder: Path, path: Path, at_work: bool, drawings: int = MOST_DRAWINGS) -> Path:
    """Write the page of one run, over one that is there; and, where that is the run's own, its drawings beside it.

    Args:
        folder: of the run.
        path: the HTML file.
        at_work: whether another process is at work on the run.
        drawings: networks that are drawn at most.

    Returns:
        The file.

    Raises:
        InputError: as for `report`.
    """
    if kind_of(folder) is Run:
        from rwejax.reporting.search_report import make_page
    else:
        from rwejax.reporting.training_report import make_page
    page, drawn = make_page(folder, at_work, drawings)
    _write(path, page)
    if path == folder / REPORT:
        with writing(path):
            write_drawings(drawn, folder)
    return path


def _write(path: Path, page: str) -> Path:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(page)
    return path
