"""Run folders that lie: mutations of what rwejax 0.1.0 has written, as hypothesis draws them, and their traps.

A case is a kind of run, and a few mutations of its files. Around the folder lies a canary, which nothing may touch.
"""

import contextlib
import os
import shutil
import signal
import socket
from pathlib import Path

from hypothesis import strategies as st

OLD = Path(__file__).parent / "data" / "0.1.0"
TEXTS = {
    "search": ("config.yaml", "meta.json", "evaluations.jsonl", "history.csv", "front.csv"),
    "training": ("config.yaml", "meta.json", "metrics.jsonl", "result.json"),
    "correlation": ("table.csv", "table.scores.csv"),
}
RESULT = b'{"test_loss": 1.5, "test_accuracy": 40.0, "test_images": 360}\n'
CHECKPOINTS = ("1", "2", "3", "99", "0", "007", "-1", "2.orbax-checkpoint-tmp", "\u00b2", "x", "9" * 30)
PARTS = (
    *(".front.csv.part", ".meta.json.part", ".front.png.part", ".result.json.part", ".config.yaml.part", ".lock"),
    *("report.html", ".report.html.part", "samples.png", "mistakes.png", "predictions.csv"),
)
SCALARS = (
    *("null", "true", "false", "-1", "0", "1", "2", "1e9", "1e999", "-1e308", "5e-324", "2147483648"),
    *("NaN", "Infinity", "0x7fffffff", "2020-99-99", "1_0", "1:60:60", ".inf", ".nan", "~", "|", ">", "-", "?", ","),
    *("''", "'1'", '""', '"x"', '"hello"', '"\\ud800"', '"\\u0000"', "!!python/object:os", "*a", "&a", "&a [*a]"),
    *("99999999999999999999", "[]", "{}", "[[[]]]", "[1,2,3]", '{"a":1}'),
)
BOMB = b"&a [x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (i + 1, i + 1, b"*%c," % i * 9) for i in range(97, 109))
LONG = {
    "digits": b"9" * 5000,
    "name": b'"' + b"n" * 200_000 + b'"',
    "brackets": b"[" * 100_000,
    "braces": b'{"a":' * 20_000,
    "spaces": b" " * 100_000,
    "bomb": BOMB,
}
TRAPS = ("fifo", "folder", "socket", "link", "hard link", "dangling", "loop", "huge", "missing", "link to folder")

_values = st.one_of(
    st.sampled_from(SCALARS).map(str.encode),
    st.sampled_from(sorted(LONG)).map(LONG.get),
    st.binary(max_size=8),
    st.integers().map(lambda number: str(number).encode()),
    st.floats().map(lambda number: repr(number).encode()),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
_places = st.integers(0, 2**16)
_files = st.integers(0, 7)
_edits = st.one_of(
    st.tuples(st.just("value"), _files, _places, _values),  # in the place of one
    st.tuples(st.just("value"), _files, _places, _values),
    st.tuples(st.just("insert"), _files, _places, _values),
    st.tuples(st.just("cut"), _files, _places, st.integers(1, 60)),
    st.tuples(st.just("twice"), _files, _places, st.integers(1, 400)),
    st.tuples(st.just("rename"), _files, _places, _values),  # a key
    st.tuples(st.just("all"), _files, _places, _values),
)
_traps = st.one_of(
    st.tuples(st.just("file"), _files, st.sampled_from(TRAPS)),
    st.tuples(st.just("part"), st.sampled_from(PARTS), st.sampled_from(TRAPS)),
    st.tuples(st.just("checkpoint"), st.sampled_from(CHECKPOINTS), st.sampled_from((*TRAPS, "empty"))),
    st.tuples(st.just("in checkpoint"), st.sampled_from(CHECKPOINTS[:3]), st.sampled_from(TRAPS)),
    st.tuples(st.just("checkpoints"), st.just("checkpoints"), st.sampled_from(TRAPS)),
)
mutations = st.lists(st.one_of(_edits, _edits, _traps), min_size=1, max_size=3)
kinds = st.sampled_from(("search", "search", "training", "correlation"))


class Hang(BaseException):
    """A command took too long."""


@contextlib.contextmanager
def watchdog(seconds):
    """Ends what takes longer."""

    def bite(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, bite)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Place:
    """A folder for runs, with a canary beside it.

    Args:
        root: an empty folder.
    """

    def __init__(self, root):
        self.run, self._canary = root / "run", root / "canary"
        self._sockets = []
        self._set_up()

    def _set_up(self):
        shutil.rmtree(self._canary, ignore_errors=True)
        (self._canary / "5.orbax-checkpoint-tmp").mkdir(parents=True)
        for name in ("victim", "5.orbax-checkpoint-tmp/state"):
            (self._canary / name).write_text("a file without a newline")
        self._before = self._look()

    def make(self, kind, changes):
        """Write a run folder; returns it, or the table of a correlation."""
        if self.run.exists():
            shutil.rmtree(self.run)
        if not self.untouched():
            self._set_up()
        self.run.mkdir()
        files = {name: _read(kind, name) for name in TEXTS[kind]}
        for change in changes:
            if change[0] in ("value", "insert", "cut", "twice", "rename", "all"):
                name = TEXTS[kind][change[1] % len(TEXTS[kind])]
                files[name] = _edit(files[name], *change)
        for name, content in files.items():
            (self.run / name).write_bytes(content)
        if kind != "correlation":
            (self.run / "checkpoints" / "2" / "default").mkdir(parents=True)
        for change in changes:
            self._trap(kind, *change)
        return self.run / "table.csv" if kind == "correlation" else self.run

    def untouched(self):
        """Whether all around the folder is as it was."""
        return self._look() == self._before and {each.name for each in self.run.parent.iterdir()} <= {"run", "canary"}

    def close(self):
        """Take away what tests leave open."""
        for each in self._sockets:
            each.close()

    def _look(self):
        return {
            path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in self._canary.rglob("*")
        }

    def _trap(self, kind, where, name, *rest):
        if where == "file":
            path = self.run / TEXTS[kind][name % len(TEXTS[kind])]
        elif where in ("part", "checkpoints"):
            path = self.run / name
        elif where == "checkpoint":
            path = self.run / "checkpoints" / name
        elif where == "in checkpoint":
            path = self.run / "checkpoints" / name / "default" / "manifest.ocdbt"
        else:
            return
        with contextlib.suppress(OSError, RuntimeError):  # two traps at one place
            if not path.parent.resolve().is_relative_to(self.run.resolve()):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            set_trap(path, rest[0], self._canary, self._sockets)


def set_trap(path, trap, canary, sockets):
    """Put something else in the place of a file.

    Args:
        path: the file, which may be missing.
        trap: one of `TRAPS`, or "empty".
        canary: what links lead to.
        sockets: gets what is open.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if trap == "fifo":
        os.mkfifo(path)
    elif trap in ("folder", "empty"):
        path.mkdir()
    elif trap == "socket":
        sockets.append(socket.socket(socket.AF_UNIX))
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            sockets[-1].bind(path.name)
        finally:
            os.chdir(here)
    elif trap == "link":
        path.symlink_to(canary / "victim")
    elif trap == "hard link":
        path.hardlink_to(canary / "victim")
    elif trap == "dangling":
        path.symlink_to(canary / "born")
    elif trap == "loop":
        path.symlink_to(path.name)
    elif trap == "link to folder":
        path.symlink_to(canary)
    elif trap == "huge":
        path.touch()
        os.truncate(path, 5 << 30)


def _read(kind, name):
    path = OLD / kind / name
    return path.read_bytes() if path.exists() else RESULT


def _edit(text, how, _, place, what):
    at = place % (len(text) + 1)
    if how == "all":
        return what
    if how == "insert":
        return text[:at] + what + text[at:]
    if how == "cut":
        return text[:at] + text[at + what :]
    if how == "twice":
        return text[: at + what] + text[at:]
    # The next value after a colon or a comma, or key before a colon.
    first, last = (b":,", b",\n}") if how == "value" else (b'{,\n"', b":")
    start = next((i + 1 for i in range(at, len(text)) if text[i : i + 1] in first), len(text))
    end = next((i for i in range(start, len(text)) if text[i : i + 1] in last), len(text))
    space = b" " if text[start : start + 1] == b" " else b""
    return text[:start] + space + what + text[end:]
