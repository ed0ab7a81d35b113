"""Runs what a page shows, in full, and writes what was printed into it.

    python docs/site/record.py guide/tutorial.md        # all cores; minutes
    python docs/site/record.py notebooks/search.ipynb

Of a page of Markdown, the blocks of Python and of commands are run one after another in an empty folder, and a block
`text` behind a command becomes its output. A notebook is executed where it lies. Tests run both, tiny.
"""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parents[1]
FIGURES = {"tutorial.md": {"found/front.png": "tutorial-front.png"}}
_PROGRESS = re.compile(r"(generation|network|epoch) +\d+/\d+ ")
_BLOCK = re.compile(r"^```(python|bash|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main(names: list[str]) -> None:
    """Record pages.

    Args:
        names: paths below docs/.
    """
    for name in names:
        record = record_notebook if name.endswith(".ipynb") else record_page
        record(DOCS / name)


def record_page(path: Path) -> None:
    """Run a page of Markdown and put in what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        printed = ""

        def replace(block: re.Match[str]) -> str:
            nonlocal printed
            if block[1] == "text":
                return f"```text\n{abridge(printed)}```"
            command = [sys.executable, "-c", block[2]] if block[1] == "python" else ["bash", "-ec", block[2]]
            print(block[2], file=sys.stderr)
            printed = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
            printed = printed.replace(f"{folder}/", "")
            return block[0]

        path.write_text(_BLOCK.sub(replace, path.read_text(encoding="utf-8")), encoding="utf-8")
        for source, target in FIGURES.get(path.name, {}).items():
            shutil.copy(Path(folder, source), path.with_name(target))


def abridge(text: str) -> str:
    """The lines without spaces at their ends, and of many lines of progress the first two and the last.

    Args:
        text: what a command has printed.
    """
    kept: list[str] = []
    for is_progress, group in itertools.groupby(text.splitlines(), lambda line: bool(_PROGRESS.match(line))):
        lines = [line.rstrip() for line in group]
        kept += [*lines[:2], "...", lines[-1]] if is_progress and len(lines) > 4 else lines
    return "".join(f"{line}\n" for line in kept)


def record_notebook(path: Path) -> None:
    """Execute a notebook where it lies, without times in its metadata."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": path.parent}}).execute()
    notebook.metadata.pop("language_info", None)  # the version of Python
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
