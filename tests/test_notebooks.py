"""Notebooks run from their first cell to their last, tiny, and what is stored in them names no machine."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_notebook

from tests.pages import ROOT

FOLDER = ROOT / "docs" / "notebooks"
TRUTH = ROOT / "benchmarks" / "truth" / "macro.csv"
TINY = {
    "search": """
import pytest
from tests import fakes

fakes.use(pytest.MonkeyPatch())
fakes.use_trainer(pytest.MonkeyPatch())
sizes = {"population_size": 8, "generations": 2, "nodes": 2, "channels": 2, "training_epochs": 1}
""",
    "scores": f"""
import pytest
from tests import fakes

pytest.MonkeyPatch().setattr("rwejax.evaluate.estimators.ForwardPass", fakes.FakeEvaluator)
sizes = {{"sample": 5, "images": 20}}
table = {str(TRUTH)!r}
""",
}
"""What stands in their first cells in place of their sizes. Other tests have real scores and trainings."""

FIGURES = {"search": 2, "scores": 1}


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def figures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_notebooks_run(tmp_path, monkeypatch):
    """In one process, most of whose time goes into imports; each begins without the names of the others."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    together = new_notebook()
    for name, first in TINY.items():
        cells = read(name).cells
        (sizes,) = (cell for cell in cells if "sizes" in cell.metadata.get("tags", ()))
        sizes.source = f"%reset -f\n{first}"
        together.cells += cells

    NotebookClient(together, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()

    assert figures(together) == sum(FIGURES.values())


@pytest.mark.parametrize("name", TINY)
def test_a_stored_notebook_was_run_and_names_no_machine(name):
    notebook = read(name)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert figures(notebook) == FIGURES[name]
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"(?<![.\w])/(tmp|home|root|work|Users|opt|var)/", text)
    assert "language_info" not in notebook.metadata


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(TINY)
