"""A user's own file: spaces and estimators that are named `FILE.py:NAME`.

A file is executed only if this process was told to, by a flag of the command line or by `load`. What is read from a
run folder or a config file only names it: so a run folder that somebody has sent executes nothing. Such a reference
carries the beginning of the file's SHA-256, `/abs/mine.py:zen@3fa9c1d2e4f5`, and finds what was loaded from a file of
that content, wherever it lies.
"""

import errno
import hashlib
import inspect
import linecache
import re
import sys
import traceback
import types
from pathlib import Path
from typing import Any, NamedTuple

from rwejax.errors import InputError

_DIGITS = 12  # of the hash
_FORM = re.compile(rf"(?P<path>.+\.py):(?P<name>\w+)(?:@(?P<digest>[0-9a-f]{{{_DIGITS}}}))?")


class Reference(NamedTuple):
    """What `FILE.py:NAME` says.

    Attributes:
        path: absolute path of the file.
        name: a top-level name of the file.
        digest: the beginning of the file's SHA-256, if it is said.
    """

    path: Path
    name: str
    digest: str | None

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" + (f"@{self.digest}" if self.digest else "")


class _Loaded(NamedTuple):
    reference: Reference
    found: Any


_modules: dict[str, types.ModuleType] = {}  # by digest: a copy of a file is the same code
_loaded: dict[tuple[Path, str], _Loaded] = {}  # by path and name; of a file that has changed, as it was loaded last


def parse(text: str) -> Reference | None:
    """What a reference says; None for a text that is none, such as the name of a built-in space."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    return Reference(Path(match["path"]).expanduser().absolute(), match["name"], match["digest"])


def name_of(text: str) -> str:
    """The name that tables, files and figures show: NAME of `FILE.py:NAME`, any other text as it is."""
    reference = parse(text)
    return text.strip() if reference is None else reference.name


def identity(text: str) -> tuple[str, str | None]:
    """Name and hash of a reference, which are equal for one file at two places; any other text, and None."""
    reference = parse(text)
    return (text.strip(), None) if reference is None else (reference.name, reference.digest)


def without_digest(text: str) -> str:
    """A reference as a flag takes it, without its hash; any other text as it is."""
    reference = parse(text)
    return text.strip() if reference is None else str(reference._replace(digest=None))


def load(text: str) -> Any:
    """Execute a file, unless it or a copy of it has been, and give what it calls NAME.

    Args:
        text: FILE.py:NAME; with a hash, no other file is executed.

    Returns:
        The object: the class of a space that the file registers, or the function of an estimator.

    Raises:
        InputError: the text is no reference, the file cannot be read, its code fails, or it has no such name.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "mine.py"
        >>> _ = file.write_text("def first_label(net): return net.labels[0]")
        >>> load(f"{file}:first_label").__name__
        'first_label'
    """
    reference = parse(text)
    if reference is None:
        raise InputError(f"{text!r} names no code: give FILE.py:NAME")
    try:
        if reference.path.exists() and not reference.path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "no file")
        content = reference.path.read_bytes()
    except OSError as error:
        raise InputError(f"file {str(reference.path)!r} is unreadable ({error.strerror}): check the path") from error
    digest = _digest(content)
    if reference.digest not in (None, digest):
        raise _changed(reference, reference._replace(digest=digest))
    if digest not in _modules:
        _modules[digest] = _execute(reference.path, content)
    module = _modules[digest]
    if not hasattr(module, reference.name):
        raise InputError(f"file {str(reference.path)!r} has no {reference.name!r}: give a name that it defines")
    found = getattr(module, reference.name)
    _loaded[reference.path, reference.name] = _Loaded(reference._replace(digest=digest), found)
    return found


def note(found: Any) -> None:
    """Take note of a class or function that the user has registered, so that references to it find it.

    Args:
        found: of a file; what was typed at a prompt or in a notebook has no reference.
    """
    try:
        path = Path(inspect.getsourcefile(found) or "").absolute()
        reference = Reference(path, found.__name__, _digest(path.read_bytes()))
    except (TypeError, OSError, AttributeError):
        return
    _loaded.setdefault((path, found.__name__), _Loaded(reference, found))


def find(text: str, flag: str) -> Any:
    """What a reference names, if this process was told to load it. No file is executed.

    Args:
        text: FILE.py:NAME, with a hash or without.
        flag: of the command line, by which it can be given.

    Raises:
        InputError: it was not loaded, or the file has changed.
    """
    return _find(text, flag).found


def resolve(text: str, flag: str) -> str:
    """The text with the absolute path and the hash, so that it means the same anywhere; other texts as they are.

    Args:
        text: FILE.py:NAME, or a name that is none of a file.
        flag: of the command line, by which it can be given.

    Raises:
        InputError: what it names was not loaded, or the file has changed; see `find`.
    """
    return text.strip() if parse(text) is None else str(_find(text, flag).reference)


def alike(first: Any, second: Any) -> bool:
    """Whether two classes or functions are one, or one that was defined anew, as in a notebook's cell.

    Args:
        first: a class or function.
        second: another, or the same.
    """
    names = [(getattr(each, "__module__", None), getattr(each, "__qualname__", "<")) for each in (first, second)]
    return first is second or (names[0] == names[1] and "<" not in names[0][1])


def _find(text: str, flag: str) -> _Loaded:
    reference = parse(text)
    if reference is None:
        raise InputError(f"{text!r} names no code: give FILE.py:NAME")
    named = [each for each in _loaded.values() if each.reference.name == reference.name]
    here = [each for each in named if each.reference.path == reference.path]
    same = [each for each in named if each.reference.digest == reference.digest]
    if reference.digest is None and here:
        return here[0]
    if same:
        return same[0]
    if reference.digest and named:
        raise _changed(reference, (here or named)[0].reference)
    given = str(reference._replace(digest=None))
    raise InputError(
        f"{reference.name!r} is code of the file {str(reference.path)!r}, which is not executed unless you ask for it: "
        f"if you trust it, give {flag} {given}, or in Python first call rwejax.plugins.load({given!r})"
    )


def _changed(asked: Reference, there: Reference) -> InputError:
    return InputError(
        f"file {str(there.path)!r} has the hash {there.digest} and had {asked.digest} when {asked.name!r} was written "
        "down: restore it, or start a new run"
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _execute(path: Path, content: bytes) -> types.ModuleType:
    """The module of a file, whose source can be inspected as it was executed even if the file changes."""
    name = f"rwejax_plugin_{path.stem}_{_digest(str(path).encode())}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    before = sys.modules.get(name)
    try:
        text = content.decode()
        linecache.cache[str(path)] = len(content), None, text.splitlines(keepends=True), str(path)
        sys.modules[name] = module  # dataclasses and inspect look there
        exec(compile(text, str(path), "exec"), module.__dict__)
    except Exception as error:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, InputError):
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        where = f"line {line} of file {str(path)!r}" if line else f"file {str(path)!r}"
        said = " ".join(str(error).split())
        raise InputError(f"{where} fails ({type(error).__name__}: {said}): mend it") from error
    return module
