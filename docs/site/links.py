"""Brings pages and files from outside docs/ into the site, so that one link is right on GitHub and on the site.

A file of the repository has the same place on the site, without `docs/`: the README is the first page, and the pages
beside the code are pages. Another file, such as a result, comes along where a page links to it. A link to what is
not there stays as it is, and the strict build refuses it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md"
_FENCE_OR_TARGET = re.compile(r"^(?:```.*?^```$)|(?<=\]\()[^)\s:#]+", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for path in PAGES:
        _add(path, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between files of the site."""
    uri = page.file.src_uri
    folder = posixpath.dirname(uri if uri in PAGES else f"docs/{uri}")

    def replace(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[0]))
        if found[0].startswith("```") or not (ROOT / path).is_file():
            return found[0]
        target = path.removeprefix("docs/")
        if files.get_file_from_path(target) is None:
            _add(path, files, config)
        return posixpath.relpath(target, posixpath.dirname(uri))

    return _FENCE_OR_TARGET.sub(replace, markdown)


def _add(path: str, files: Files, config: MkDocsConfig) -> None:
    files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
