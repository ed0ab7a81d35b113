"""The tutorial is typed from its first line to its last, tiny, and prints what it shows.

Scores and trainings of its search are faked, for other tests run them; what follows is not.
"""

import re

import pytest

from tests import fakes, pages
from tests.cli import commands

TUTORIAL, RUN_FOLDER = "guide/tutorial.md", "how-to/run-folder.md"
SMALL = "--population-size 8 --generations 2 --nodes 2 --channels 2 --train-images 40 --validation-images 30"
TINY = {"search": f"{SMALL} --training-epochs 1", "train": "--train-images 128 --epochs 1"}
"""What is typed behind the flags of the page, and overrides them."""

VARIES = (
    (r", which is chance: .*", ""),
    (r"macro:\d[\d:-]*", "TEXT"),
    (r"\d+/\d+\.png", "PICTURE"),
    (r"[-+]?\d+(\.\d+)?(e-\d+)?", "#"),
    (r"(at most )?(# min )?# s left", "TIME"),
    (r"\(?# \+- #\)?", "ERROR"),
    (r"networks", "network"),
    (r"python scripts/(\w+)\.py", r"rwejax \1"),
    (r"finalist, |random, |plain, ", "ROLE"),
    (r"the search beats chance|chance beats the search|the search cannot be told from chance", "VERDICT"),
    (r"it (beats|loses to|is level with) a plain CNN", "VERDICT"),
)
"""What differs from run to run."""


def form(line):
    for pattern, name in VARIES:
        line = re.sub(pattern, name, line)
    return " ".join(line.split())


def test_the_tutorial_prints_what_it_shows(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("rwejax.runtime.devices.use_all_cores", lambda: None)  # only at the start of a process
    fakes.use(monkeypatch)
    fakes.use_trainer(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (pictures,) = pages.blocks(TUTORIAL, "python")
    exec(pictures, {})
    typed, shown = pages.commands(TUTORIAL), pages.blocks(TUTORIAL, "text")
    assert [words[0] for words in typed] == ["search", "train", "export", "export", "predict"]

    for (command, *flags), output in zip(typed, shown, strict=True):
        tiny = TINY.get(command, "").split()
        code, out, err = commands.caller(commands.load(command), monkeypatch, capfd)(*flags, *tiny)
        assert (code, err) == (0, "")
        printed = {form(line) for line in out.replace(f"{tmp_path}/", "").splitlines()}
        assert [line for line in output.splitlines() if form(line) not in printed | {"..."}] == [], out

    exec("".join(pages.blocks(RUN_FOLDER, "python")), {})
    assert (tmp_path / "objectives.png").stat().st_size > 0
    assert {each.name for each in (tmp_path / "found").iterdir()} == named_files()


def named_files():
    """The files of a search's folder, as the page on run folders lists them."""
    text = (pages.ROOT / "docs" / RUN_FOLDER).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([\w.]+)/?` \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("generation  1/10  1.3 evaluations/s  at most 3 min 36 s left", "generation 2/2  70 evaluations/s  0 s left"),
        (" 2.8 +- 1.0  -0.4793  macro:4:00-10", "(12.0 +- 3)  -1  macro:2:0-1"),
    ],
)
def test_a_form_is_that_of_every_run_and_of_no_other_line(line, other):
    assert form(line) == form(other) != form(f"{line} more")
