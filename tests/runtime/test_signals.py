"""Signals at any moment, and standard output that cannot be written: a sentence, an exit code, a run that goes on.

The number of interruptions and of kills is small in a quick run; RWEJAX_SIGNALS=500 sends so many.
"""

import functools
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rwejax.errors import InputError
from rwejax.runtime import signals, standard_output

SMALL = "--space macro --nodes 2 --channels 2 --image-size 8 --train-images 60 --validation-images 20 --run-dir run"
SEARCH = shlex.split(f"search {SMALL} --calibration-images 20 --population-size 4 --generations 6 --training-minutes 0")
TRAIN = shlex.split(f"train {SMALL} --batch-size 20 --epochs 6 --architecture 111111")
REPEATS = int(os.environ.get("RWEJAX_SIGNALS", "2"))
KILLS = min(REPEATS, 20) if REPEATS > 2 else 1


def start(folder, *words, **options):
    """The real command in a process of its own, which works in a folder."""
    folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TERM": "dumb",
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-m", "rwejax", *map(str, words)]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def records(run):
    """What a run has found, but for times."""
    timed = {"seconds", "evaluations_per_second"}
    lines = [
        json.loads(line)
        for name in ("evaluations.jsonl", "metrics.jsonl")
        if (run / name).exists()
        for line in (run / name).read_text().splitlines()
    ]
    found = [{name: value for name, value in line.items() if name not in timed} for line in lines]
    return found, *((run / name).read_text() for name in ("front.csv", "result.json") if (run / name).exists())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search and a training that nobody disturbed, and the seconds that they took."""

    @functools.cache
    def run(name):
        words = {"search": SEARCH, "train": TRAIN}[name]
        folder = tmp_path_factory.mktemp(name)
        assert finish(start(folder, *words))[0] == 0  # compiles
        shutil.rmtree(folder / "run")
        before = time.monotonic()
        assert finish(start(folder, *words))[0] == 0
        return folder / "run", time.monotonic() - before

    return run


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(REPEATS))
def test_an_interruption_at_any_moment_is_one_sentence(whole, tmp_path, seed):
    draw = random.Random(seed)
    words = draw.choice([SEARCH, TRAIN])
    process = start(tmp_path / "work", *words)
    time.sleep(draw.uniform(0.5, max(1.0, whole(words[0])[1])))  # before that, Python itself starts
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    if code == 0:  # it was quicker
        assert "next: " in out
        return
    assert code == 130, err
    assert len(re.findall("^interrupted", out + err, re.MULTILINE)) == 1
    assert "Traceback" not in out + err
    assert err in ("", "interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search", "train", "resume"])
def test_a_kill_at_any_moment_changes_nothing(whole, tmp_path, command):
    words = TRAIN if command == "train" else SEARCH
    expected, seconds = whole(words[0])
    for seed in range(KILLS):
        draw, folder = random.Random(f"{command} {seed}"), tmp_path / str(seed)
        run = folder / "run"
        for _ in range(2 if command == "resume" else 1):
            resuming = (run / "config.yaml").exists()
            process = start(folder, *([words[0], "--resume", "run"] if resuming else words))
            time.sleep(draw.uniform(0.5 * seconds, seconds))
            process.kill()
            finish(process)
        if not (run / "config.yaml").exists():
            shutil.rmtree(run, ignore_errors=True)
        again = [words[0], "--resume", "run"] if run.exists() else words
        code, _, err = finish(start(folder, *again))
        assert (code, err) == (0, "")
        assert records(run) == records(expected)


def interrupted(command, **events):
    """The exit code of a command that a signal interrupts, and what it showed."""
    shown = []
    code = signals.run_interruptible(
        command, lambda number: shown.append(f"saved {number}") or 128 + number, shown.append
    )
    return code, shown


def raise_signal(number=signal.SIGINT):
    signal.raise_signal(number)


def turn_into_type_error():
    """As numpy.unique does."""
    try:
        raise_signal()
    except KeyboardInterrupt as error:
        raise TypeError("this dtype is not supported") from error


def swallow():
    try:
        raise_signal()
    except KeyboardInterrupt:
        return "a result"


class Freed:
    def __del__(self):
        raise_signal()


def drop():
    """Python passes on nothing that is raised while an object is freed."""
    Freed()
    for _ in range(500):
        time.sleep(0.01)
    return "a result"


@pytest.mark.parametrize("command", [raise_signal, turn_into_type_error, swallow, drop])
def test_whatever_becomes_of_an_interruption_it_is_answered_once(command, capfd):
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert interrupted(command) == (130, ["saved 2"])
    assert capfd.readouterr() == ("", "")
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_without_a_signal_nothing_changes():
    assert interrupted(lambda: "a result") == (0, ["a result"])
    with pytest.raises(ZeroDivisionError):
        interrupted(lambda: 1 / 0)


@pytest.mark.parametrize(("ignored", "code"), [(False, 129), (True, 0)])
def test_a_closed_terminal_ends_a_command_but_not_under_nohup(ignored, code):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert interrupted(lambda: raise_signal(signal.SIGHUP))[0] == code
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_where_nothing_is_to_be_saved_a_signal_ends_the_process(number, code):
    """An import may turn Ctrl-C into any error."""
    program = f"""
import signal
from rwejax.runtime.signals import exit_code
def command():
    try:
        signal.raise_signal({int(number)})
    except BaseException:
        raise ImportError
raise SystemExit(exit_code(command))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "interrupted\n")


@pytest.mark.parametrize(("moment", "code", "err"), [("atexit.register", 130, "interrupted\n"), ("Late", 0, "")])
def test_a_signal_while_python_ends_is_answered_or_comes_too_late(moment, code, err):
    """What libraries do at the exit can be interrupted; after that a signal would kill the process without a word."""
    program = f"""
import atexit, os, signal
from rwejax.runtime.signals import leave, outlast_exit
class Late:
    def __init__(self, call):
        self.call = call
    def __del__(self):
        self.call()
outlast_exit()
kept = {moment}(lambda: os.kill(os.getpid(), signal.SIGINT))
leave(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", err)


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.mark.slow
@needs_full
def test_a_search_whose_output_cannot_be_written_is_resumed(tmp_path):
    with FULL.open("w") as full:
        code, _, err = finish(start(tmp_path, *SEARCH, stdout=full))
    assert code == 2
    assert re.fullmatch(r"error: standard output cannot be written \(No space left on device\): [^\n]+\n", err)
    code, out, err = finish(start(tmp_path, "search", "--resume", "run"))
    assert (code, err) == (0, "")
    assert "\nnext: " in out


@needs_full
def test_help_that_cannot_be_written(tmp_path):
    with FULL.open("w") as full:
        code, _, err = finish(start(tmp_path, "--help", stdout=full))
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: standard output cannot be written")


@needs_full
def test_standard_output_says_what_is_wrong():
    with pytest.raises(InputError, match="No space left"), FULL.open("wb", buffering=0) as full:
        standard_output.StandardOutput(full).write("a line\n")


def test_what_an_encoding_lacks_is_escaped(tmp_path):
    path = tmp_path / "file"
    with standard_output.StandardOutput(path.open("wb"), "ascii") as output:
        output.write("é\n")
    assert path.read_text() == "\\xe9\n"


def test_a_pipe_that_nobody_reads_stays_one():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        output = standard_output.StandardOutput(pipe)
        with pytest.raises(BrokenPipeError):
            output.write("a line\n")
        output.detach()


@pytest.mark.parametrize("words", [["--truth", "pipe", "--column", "accuracy"], ["--estimator", "{}/pipe.py:mine"]])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, words):
    for name in ("pipe", "pipe.py"):
        os.mkfifo(tmp_path / name)
    command = "correlate" if "--truth" in words else "search"
    code, _, err = finish(start(tmp_path, command, "--space", "macro", *(word.format(tmp_path) for word in words)))
    assert code == 2
    assert re.fullmatch(r"error: [^\n]*(it is a pipe and no file|unreadable \(no file\))[^\n]*\n", err), err
