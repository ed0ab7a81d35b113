"""The pages of the documentation: their code, as files that a reader would have, and their commands."""

import re
import shlex
import string
import tempfile
from functools import cache
from pathlib import Path

from rwejax import plugins

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = "bash", "sh"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def fences(path: Path) -> list[tuple[str, str]]:
    """The language and the text of each code block of a page."""
    return _FENCE.findall(path.read_text(encoding="utf-8"))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page below docs/ in a language."""
    return [text for name, text in fences(ROOT / "docs" / page) if name == language]


def commands(page: str) -> list[list[str]]:
    """The words of each command of a page below docs/, without `rwejax`."""
    typed = lines(ROOT / "docs" / page)
    assert all(words[0] == "rwejax" for words in typed)
    return [words[1:] for words in typed]


def lines(path: Path) -> list[list[str]]:
    """The words of each command in the blocks of a page for a shell; its variables are put in."""
    found, variables = [], {}
    for text in (text for language, text in fences(path) if language in SHELLS):
        for line in text.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(string.Template(command).substitute(variables), comments=True)
                name, assigned, value = words[0].partition("=") if words else ("", "", "")
                if assigned and name.isidentifier():
                    variables[name] = value
                elif words:
                    found.append(words)
    return found


def spans(path: Path) -> list[str]:
    """The code inside the sentences and tables of a page."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", text)]


@cache
def ladder() -> str:
    """Register the page's space in this process, and give its name. The file outlives its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ladder.py"
        path.write_text(blocks("how-to/own-space.md", "python")[0])
        return plugins.load(f"{path}:Ladder").name
