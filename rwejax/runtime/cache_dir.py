"""Where files lie that only save time."""

import os
from pathlib import Path


def folder(kind: str) -> Path | None:
    """The user's folder for one kind of cached files, which may be missing; None where there is no home for it."""
    # https://specifications.freedesktop.org/basedir-spec: a relative path is to be ignored
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):
        root = os.path.join(os.path.expanduser("~"), ".cache")
        if not os.path.isabs(root):
            return None
    return Path(root) / "rwejax" / kind
