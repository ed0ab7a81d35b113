"""The code of the how-to pages, as files that a reader would have."""

import re
import shlex
import tempfile
from functools import cache
from pathlib import Path

from rwejax import plugins

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    text = (DOCS / f"howto-{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """The words of each command of a page, without `rwejax`."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    assert all(each[0] == "rwejax" for each in words)
    return [each[1:] for each in words]


@cache
def ladder() -> str:
    """Register the page's space in this process, and give its name. The file outlives its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ladder.py"
        path.write_text(blocks("space", "python")[0])
        return plugins.load(f"{path}:Ladder").name
