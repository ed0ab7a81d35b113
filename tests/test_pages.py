"""What pages show can be typed: every command and every flag parses, every name and extra exists.

What is typed is also run: the tutorial and the how-to pages in tests/cli, the notebooks in test_notebooks.py, and the
examples in docstrings and pages by pytest itself.
"""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import tyro

import rwejax
from rwejax.cli import flags
from rwejax.cli.main import COMMANDS, main
from tests.pages import PAGES, ROOT, lines, spans

BENCHMARKS = ROOT / "benchmarks" / "README.md"
NEEDED = {
    "search": "",
    "train": "",
    "export": "RUN FOLDER",
    "predict": "FOLDER IMAGES",
    "draw": "RUN",
    "correlate": "--space macro --truth FILE.csv --column NAME",
    "correlate-runs": "--run RUN --truth FILE.csv --column NAME",
}
"""Commands that have flags, and what each needs besides."""
OTHERS = {"pip", "python", "pre-commit", "mkdocs", "cd"}  # commands that are not ours
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
API = sorted((ROOT / "docs" / "api").glob("*.md"))
REFERENCES = {line.split()[1] for path in API for line in path.read_text().splitlines() if line.startswith("::: ")}


class Parsed(BaseException):
    """Ends a command when its flags are parsed, with what they say."""


@pytest.fixture
def parse(monkeypatch):
    """What a command line says; SystemExit where it says nothing that can be understood."""
    cli = tyro.cli

    def stop(*args, **options):
        raise Parsed(cli(*args, **options))

    monkeypatch.setattr(tyro, "cli", stop)

    def call(words):
        assert words[0] in COMMANDS, words
        with pytest.raises(Parsed) as caught:
            main(words)
        (arguments,) = caught.value.args
        if getattr(arguments, "config", None) is not None:
            assert flags.find_config(arguments.config).is_file(), words
        return arguments

    return call


def ours(words):
    """The words behind `rwejax` of a command line that calls it in whatever way; None of another one."""
    if words[0] == "rwejax":
        return words[1:]
    if words[:3] == ["python", "-m", "rwejax"]:
        return words[3:]
    if words[0] == "python" and words[1].startswith("scripts/"):
        assert (ROOT / words[1]).is_file(), words
        return [Path(words[1]).stem.replace("_", "-"), *words[2:]]
    assert words[0] in OTHERS, words
    return None


def label(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=label)
def test_commands_parse(path, parse):
    for words in lines(path):
        words = words[3:] if words[0] == "taskset" else words
        if (command := ours(words)) is not None:
            parse(command)


@pytest.mark.parametrize("path", PAGES, ids=label)
def test_commands_and_flags_in_sentences_parse(path, parse, capsys):
    """A flag without a value is one that takes a number or a name."""
    for span in spans(path):
        words = ["1" if word == "N" else word for word in span.split()]
        if words[0] == "rwejax" and len(words) > 2:
            assert words[-1] == "--help" or parse(words[1:]), span
        elif words[0].startswith("--"):
            tried = [[command, *given.split(), *words] for command, given in NEEDED.items()]
            if len(words) == 1:
                tried = [[*each, *value] for each in tried for value in ([], ["1"], ["macro_digits"])]
            assert any(accepts(parse, each) for each in tried), span
    capsys.readouterr()  # what was said of the commands that do not take a flag


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_parse(name, parse):
    described = importlib.import_module(f"rwejax.cli.{name.replace('-', '_')}").__doc__ or ""
    examples = [shlex.split(line, comments=True) for line in re.findall(r"^  (rwejax .*)$", described, re.MULTILINE)]
    assert examples

    for words in examples:
        parse(words[1:])


def accepts(parse, words):
    try:
        return parse(words) is not None
    except (SystemExit, rwejax.InputError):
        return False


def test_a_page_with_a_wrong_flag_would_be_found(parse, capsys):
    assert accepts(parse, ["search", "--space", "micro"])
    assert not accepts(parse, ["search", "--spaces", "micro"])
    with pytest.raises(AssertionError):
        ours(["rwejx", "search"])
    capsys.readouterr()


def test_extras_in_pages_exist():
    named = [
        extra
        for path in (*PAGES, BENCHMARKS)
        for group in re.findall(r"(?:rwejax|'\.)\[([\w,]+)\]", path.read_text(encoding="utf-8"))
        for extra in group.split(",")
    ]
    assert {"tfds", "dev", "docs", "onnx"} <= set(named) <= set(EXTRAS)


def test_every_public_name_has_its_place_in_the_api():
    """A package that stands there stands for all that it lists."""
    modules = [importlib.import_module(name) for name in REFERENCES if importlib.util.find_spec(name)]
    shown = {name.rpartition(".")[2] for name in REFERENCES}
    shown |= {name for module in modules for name in getattr(module, "__all__", ())}
    assert {*rwejax.__all__, *rwejax.evaluate.__all__} - shown == {"evaluate"}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_reference_of_the_api_is_there(name):
    package, _, member = name.rpartition(".")
    assert importlib.util.find_spec(name) or hasattr(importlib.import_module(package), member)
