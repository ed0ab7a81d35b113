"""What a notebook shows: one output that is replaced as the work goes on."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rwejax import console, spaces
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.console import ConsoleObserver as CorrelateConsole
from rwejax.correlating.result import CorrelateResult
from rwejax.searching.console import ConsoleObserver as SearchConsole
from rwejax.searching.loop import search
from rwejax.training.config import TrainConfig
from rwejax.training.console import ConsoleObserver as TrainConsole
from rwejax.training.records import Epoch
from tests import fakes


class Notebook:
    """In the place of IPython's display: keeps what it is given as text, output by output."""

    def __init__(self):
        self.outputs = []

    def display(self, shown, display_id=False):
        states = [self._text(shown)]
        self.outputs.append(states)
        if display_id:
            return types.SimpleNamespace(update=lambda shown: states.append(self._text(shown)))
        return None

    def _text(self, shown):
        return shown._repr_mimebundle_([], [])["text/plain"]

    @property
    def live(self):
        """The outputs that were replaced, each with all that it has shown."""
        return [states for states in self.outputs if len(states) > 1]


@pytest.fixture
def notebook(monkeypatch):
    found = Notebook()
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=found.display))
    monkeypatch.setattr("rich._console", Console(force_jupyter=True, width=100))  # which IPython renders with
    return found


@pytest.fixture
def screen():
    return Console(force_jupyter=True, highlight=False)


@pytest.mark.parametrize("generations", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_search_has_one_output_in_a_notebook(monkeypatch, notebook, screen, tmp_path, generations):
    fakes.use(monkeypatch)
    search(fakes.tiny(generations=generations, run_dir=tmp_path / "run"), [SearchConsole(screen)])
    [live] = notebook.live
    assert len(notebook.outputs) == 3, "the sentence at the start, the images and the bar"
    for generation in range(1, generations + 1):
        assert any(f"generation {generation}/{generations}" in state for state in live)
    assert "compiling" in live[1] + live[2]
    bar, facts = live[-1].splitlines()
    assert "0 s left" in bar
    assert "evaluations/s" in facts
    assert "hypervolume" in facts


def test_a_training_has_one_output_in_a_notebook(notebook, screen):
    observer = TrainConsole(screen)
    observer.on_start(TrainConfig(architecture="1", epochs=3), Path("run"), 0, 1000, 100)
    for epoch in (1, 2, 3):
        observer.on_epoch(Epoch(epoch, 2.0 / epoch, 20.0, 1.0, 30.0 + epoch, 0.5), 0.0)
    observer.close()
    [live] = notebook.live
    assert len(notebook.outputs) == 2
    assert "epoch 3/3" in live[-1]
    assert "validation 33.0 %" in live[-1]


def test_a_correlation_has_one_output_in_a_notebook(notebook, screen):
    config = CorrelateConfig("nasbench201", Path("truth.csv"), "accuracy", "macs,params", sample=4)
    four = np.arange(4)
    result = CorrelateResult(config, spaces.get("nasbench201"), ("a", "b", "c", "d"), four * 1.0, four, 4, (), Path())
    observer = CorrelateConsole(screen)
    observer.on_start(result)
    for name in ("macs", "params"):
        for networks in (0, 2, 4):
            observer.on_slice(name, networks)
    observer.close()
    [live] = notebook.live
    assert len(notebook.outputs) == 2
    assert [line.split()[0] for line in live[-1].splitlines()] == ["macs", "params"]
    assert live[-1].count("4/4") == 2


def test_a_notebook_is_told_from_a_file(monkeypatch):
    make = console.Console
    for jupyter in (False, True):
        options = {"force_jupyter": jupyter}
        monkeypatch.setattr(console, "Console", lambda options=options, **given: make(**options, **given))
        assert console.is_live(console.make_console()) == jupyter
