"""Folders that somebody sent: whatever lies in them, a command works or says one sentence, soon, and stays inside.

Every command that reads a folder meets mutated ones. Work is left out: a case ends where it would begin. By hand, more:

    RWEJAX_HOSTILE_CASES=50000 python -m pytest -n0 -s tests/test_hostile_folders.py -k mutated
"""

import collections
import importlib
import os
import resource
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rwejax
from rwejax import CorrelateRunsConfig, InputError, TrainConfig
from rwejax.cli.flags import resumed
from rwejax.correlating.runs import correlate_runs
from rwejax.drawing.from_run import draw_run
from rwejax.exporting.from_run import export_run, load_model
from rwejax.reporting.from_run import report
from rwejax.searching import loop
from rwejax.searching.records import Run
from rwejax.status import read_status
from rwejax.training import loop as training_loop
from rwejax.training.from_search import from_search
from tests import hostile

CASES = int(os.environ.get("RWEJAX_HOSTILE_CASES", "300"))
SOON = 10  # seconds, a hundred times what a case takes
COUNTS = collections.Counter()
TRUTH = hostile.OLD / "correlate-runs" / "truth.csv"


class Work(Exception):
    """All that is read has been accepted."""


COMMANDS = {
    "status": read_status,
    "load": rwejax.load,
    "search --resume": lambda path: (resumed(lambda base: base, None, path, Run.defaults), loop.resume(path)),
    "train --resume": lambda path: (resumed(lambda base: base, None, path, TrainConfig()), training_loop.resume(path)),
    "train --run": from_search,
    "export": lambda path: export_run(path, path.parent / "exported"),
    "predict": load_model,
    "report": report,
    "draw": lambda path: draw_run(path, output=path.parent / "drawn.svg"),
    "compare": lambda path: rwejax.load_many([path, hostile.OLD / "search"]),
    "correlate-runs": lambda path: correlate_runs(CorrelateRunsConfig(str(path), TRUTH, "accuracy")),
}

DRAWN = {
    "search_report": ("make_front_figure", "make_hypervolume_figure", "make_growth_figure", "_drawings"),
    "training_report": ("make_curves_figure", "make_confusion_figure", "_drawing"),
}
"""What a page is made of, which takes a while."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = hostile.Place(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()
    print(f"\n{dict(COUNTS)}")


@pytest.fixture(scope="module")
def no_work():
    def work(*_, **__):
        raise Work

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in (
            "rwejax.searching.loop.Task",
            "rwejax.searching.loop._draw",
            "rwejax.comparing.comparison._curves",
            "rwejax.training.loop._Task",
            "rwejax.networks.build",
            "rwejax.data.load_named",
            "rwejax.correlating.tables.read",
        ):
            module, _, attribute = name.rpartition(".")
            monkeypatch.setattr(importlib.import_module(module), attribute, work)
        for module, names in DRAWN.items():
            for name in names:
                monkeypatch.setattr(f"rwejax.reporting.{module}.{name}", lambda *_: None)
            monkeypatch.setattr(f"rwejax.reporting.{module}.render", lambda *_, **__: "a page")
        yield


@pytest.fixture(scope="module")
def memory():
    def used():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = used()
    yield
    assert used() - before < 1500, "MiB more than before"


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=CASES <= 5000,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(kind=hostile.kinds, command=st.sampled_from(sorted(COMMANDS)), changes=hostile.mutations)
def test_a_mutated_folder_is_answered_in_a_sentence(memory, no_work, place, kind, command, changes):
    path = place.make(kind, changes)
    COUNTS["cases"] += 1
    said = ""
    try:
        with hostile.watchdog(SOON), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            COMMANDS[command](path)
        COUNTS["results"] += 1
    except Work:
        COUNTS["accepted"] += 1
    except InputError as error:
        COUNTS["sentences"] += 1
        said = str(error)
    except hostile.Hang:
        COUNTS["hangs"] += 1
        raise
    except BaseException:
        COUNTS["tracebacks"] += 1
        raise
    if not place.untouched():
        COUNTS["outside"] += 1
        pytest.fail("something was written outside")
    assert len(said) <= 1000
    assert "delete" not in said
