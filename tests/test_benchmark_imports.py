"""Benchmarks start as they are: every program imports, sets JAX up, and no file imports itself in a circle."""

import ast
import graphlib
import importlib
from pathlib import Path

import pytest
import tyro

from tests import pages

FOLDER = Path(__file__).parents[1] / "benchmarks"
WITH_TRUTH = "label_length", "predictor", "rank_correlation", "quality_for_time"  # need a folder of tables
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))


def imported(path):
    """The files of benchmarks that a file imports, anywhere in it: at its top, in a function, for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom | ast.Import):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            folders = [FOLDER]
        else:
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
            folders = [path.parents[node.level - 1] if node.level else FOLDER]
        for folder in folders:
            for name in filter(None, names):
                place = folder.joinpath(*name.split("."))
                found |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return found - {path}


def test_no_circle_of_imports_and_parts_know_no_program():
    graph = {path: imported(path) for path in FOLDER.rglob("*.py")}
    assert sum(map(len, graph.values())) > len(PROGRAMS)  # imports are found at all

    graphlib.TopologicalSorter(graph).prepare()  # which refuses a circle
    parts = set().union(*(graph[path] for path in graph if path.parent != FOLDER))
    assert not [path for path in parts if path.parent == FOLDER]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_imports_and_its_options_can_be_parsed(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    module = importlib.import_module(name)
    needed = {"truth": Path("FOLDER")} if name in WITH_TRUTH else {}

    options = tyro.cli(module.Config, args=[f"--{key}={value}" for key, value in needed.items()])

    assert options == module.Config(**needed)


@pytest.mark.parametrize("page", ["benchmarks/README.md", "docs/studies/scores.md"])
def test_commands_of_a_page_parse(page, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    typed = [words[words.index("python") + 1 :] for words in pages.lines(pages.ROOT / page) if "python" in words]
    programs = [(Path(program), flags) for program, *flags in typed if program.startswith("benchmarks/")]
    assert programs

    for program, flags in programs:
        assert tyro.cli(importlib.import_module(program.stem).Config, args=flags)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_started_by_what_uses_all_cores(name):
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert source.rstrip().splitlines()[-1].startswith(("    sys.exit(main(Config, ", "    sys.exit(start(Config, "))
