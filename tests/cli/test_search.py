"""What a user sees: exit codes, sentences, progress, the front."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwejax import console
from rwejax.searching.config import SearchConfig
from rwejax.storage.yaml_config import write_config
from tests import fakes
from tests.cli import commands

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "search.py"
TINY = shlex.split(
    "--estimator rwe --nodes 3 --channels 4 --train-images 40 --validation-images 20 --calibration-images 20 "
    "--population-size 6 --generations 3 --training-minutes 0"
)


@pytest.fixture(scope="module")
def script():
    return commands.load("search")


@pytest.fixture
def main(script, monkeypatch, tmp_path, capfd):
    """Runs the script in this process, with the fake evaluator: exit code, standard output and standard error."""
    fakes.use(monkeypatch)
    monkeypatch.setattr("rwejax.runtime.devices.use_all_cores", lambda: None)  # only at the start of a process
    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return commands.caller(script, monkeypatch, capfd)


@pytest.fixture
def finished(main, tmp_path):
    assert main(*TINY, "--run-dir", tmp_path / "finished")[0] == 0
    return tmp_path / "finished"


def python(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def corrupt_images(path):
    for kind in ("cats", "dogs"):
        (path / kind).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(np.full((12, 12, 3), number, np.uint8)).save(path / kind / f"{number}.png")
    (path / "cats" / "7.png").write_bytes((path / "cats" / "7.png").read_bytes()[:40])


# Name, flags, words of the sentence; the folder to prepare in is the working directory.
BAD = [
    ("unknown space", "--space makro", "space 'makro' is unknown"),
    ("unknown set", "--dataset cifar11", "cifar11"),
    ("unknown key", "--config unknown_key.yaml", "unknown key 'populaton_size': did you mean 'population_size'?"),
    ("unknown flag", "--populaton-size 4", "Unrecognized options: --populaton-size"),
    ("no width", "--channels 0", "channels is 0"),
    ("no seeds", "--seeds 0", "seeds is 0"),
    ("no generations", "--generations 0", "generations is 0"),
    ("a population of one", "--population-size 1", "population_size is 1"),
    ("a population of minus four", "--population-size -4", "population_size is -4"),
    ("missing config", "--config nowhere.yaml", "config file 'nowhere.yaml' does not exist"),
    ("broken config", "--config broken.yaml", "config file 'broken.yaml' is no YAML at line 3"),
    ("unprepared set offline", "--dataset cifar10 --data-dir empty", "cifar10"),
    ("empty folder", "--dataset folder:empty", "holds no class folders"),
    ("corrupt images", "--dataset folder:corrupt --train-images 20 --validation-images 10", "7.png"),
    ("unwritable run folder", "--run-dir file/run", "run_dir 'file/run' cannot be written"),
    ("full run folder", "--run-dir foreign", "run_dir 'foreign' is not empty"),
    ("missing run", "--resume nowhere", "run folder 'nowhere' does not exist"),
    ("foreign run", "--resume foreign", "run folder 'foreign' holds no config.yaml"),
    ("unreadable run", "--resume unreadable", "unreadable"),
    ("another config", "--resume stored --seed 3 --score log_evidence", "--seed 0 --score loo_error"),
    ("another config file", "--resume stored --config other.yaml", "--generations 20"),
    ("another place", "--resume stored --run-dir elsewhere", "leave out --run-dir elsewhere"),
    ("more images than there are", "--train-images 1400 --validation-images 300", "ask for fewer"),
    ("no images", "--train-images 0", "train_images is 0"),
    ("no number", "--seed many", "invalid literal for int() with base 10: 'many'"),
    ("unknown log", "--log tensorbord", "log 'tensorbord' is unknown: choose from tensorboard, wandb"),
    ("unknown score", "--score accuracy", "score 'accuracy' is unknown"),
]


@pytest.mark.parametrize(("flags", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_answered_in_one_sentence(main, tmp_path, flags, words):
    for folder in ("empty", "foreign", "stored", "unreadable"):
        (tmp_path / folder).mkdir()
    for name, text in {
        "unknown_key.yaml": "populaton_size: 4\n",
        "broken.yaml": "seed: 1\nspace: [macro\n",
        "other.yaml": "generations: 5\n",
        "file": "x",
        "foreign/notes.txt": "mine",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "unreadable" / "config.yaml").write_bytes(b"\xff\x00")
    write_config(tmp_path / "stored" / "config.yaml", SearchConfig(estimator="rwe"))
    corrupt_images(tmp_path / "corrupt")
    before = sorted(tmp_path.rglob("*"))

    start = time.perf_counter()
    code, out, err = main(*shlex.split(flags))

    assert code == 2
    assert time.perf_counter() - start < 10
    assert out == ""
    assert words in re.sub(r"\s+", " ", err)
    assert "Traceback" not in err
    if not err.startswith("╭"):  # tyro's own box
        assert re.fullmatch(r"error: [^\n]+\n", err)
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before


def test_a_search_prints_its_progress_its_front_and_its_folder(main, tmp_path):
    code, out, err = main(*TINY, "--run-dir", "run")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "searching macro on digits: 3 generations of 6 genomes, in run"
    assert "compiling" in lines[1]
    progress = [line for line in lines if line.startswith("generation")]
    pattern = r"generation \d/3 +[\d.]+ evaluations/s  hypervolume [\d.]+ % x M  best leave-one-out error [\d.]+ %  "
    assert len(progress) == 3
    assert all(re.match(pattern, line) for line in progress), progress
    assert progress[-1].endswith("0 s left")
    with open(tmp_path / "run" / "front.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"front: {len(rows)} of 18 evaluations" in out
    table = lines[lines.index(next(line for line in lines if "(M)" in line)) + 1 : -3]
    assert len(table) == len(rows)
    for shown, row in zip(table, rows, strict=True):
        assert shown.split()[-1] == row["architecture"]
        assert float(shown.split()[0]) == pytest.approx(float(row["loo_error"]), abs=0.006)
        assert float(shown.split()[2]) == pytest.approx(int(row["macs"]) / 1e6, abs=6e-4)
        assert float(shown.split()[3]) == pytest.approx(int(row["params"]) / 1e3, abs=0.06)
    assert lines[-3:-1] == ["report: run/report.html", "run folder: run"]
    assert lines[-1] == "next: python scripts/train.py --run run --pick knee"


def test_a_finished_run_prints_its_front_again(main, finished):
    first = main("--resume", finished)
    assert first[0] == 0
    assert "front: " in first[1]
    assert "generation 1" not in first[1]
    assert fakes.FakeEvaluator.calls == 3
    assert main("--resume", finished, "--nodes", 3)[0] == 0


def test_a_log_is_chosen_anew_when_a_run_is_resumed(main, tmp_path):
    """It is no part of the run."""
    fakes.FakeEvaluator.before_call = staticmethod(lambda calls: signal.raise_signal(2) if calls == 2 else None)
    assert main(*TINY, "--run-dir", "run", "--log", "tensorboard")[0] == 130
    files = list((tmp_path / "run" / "tensorboard").iterdir())
    assert len(files) == 1
    fakes.FakeEvaluator.before_call = staticmethod(lambda calls: None)
    assert main("--resume", "run")[0] == 0
    assert list((tmp_path / "run" / "tensorboard").iterdir()) == files
    assert "log" not in (tmp_path / "run" / "config.yaml").read_text()


def test_flags_override_the_file(script, monkeypatch, tmp_path):
    (tmp_path / "a.yaml").write_text("generations: 5\nseed: 2\n")
    read = script.parse(["--config", str(tmp_path / "a.yaml"), "--seed", "3"]).search
    assert read == SearchConfig(generations=5, seed=3)


def test_a_file_may_be_mended_by_a_flag(script, tmp_path):
    (tmp_path / "a.yaml").write_text("population_size: 1\n")
    assert script.parse(["--config", str(tmp_path / "a.yaml"), "--population-size", "4"]).search.population_size == 4


def test_every_field_is_a_flag(script):
    flags = (
        "--space macro --nodes 4 --layers 5 --cells 6 --channels 8 --dataset mnist --data-dir d --image-size 16 "
        "--train-images 1 --validation-images 2 --population-size 3 --generations 4 --seeds 5 --seed 6 "
        "--estimator rwe,rwf --score log_evidence --algorithm random --run-dir r --genomes-per-program 7 "
        "--images-per-batch 8 --calibration-images 9"
    )
    sizes, images = ("macro", 4, 5, 6, 8), ("mnist", Path("d"), 16, 1, 2)
    how = 3, 4, 5, 6, "rwe,rwf", "log_evidence", "random", Path("r"), 7, 8, 9
    expected = SearchConfig(*sizes, *images, *how)
    assert script.parse(flags.split()).search == expected


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_says_how_to_go_on(main, tmp_path, number, code):
    fakes.FakeEvaluator.before_call = staticmethod(lambda calls: signal.raise_signal(number) if calls == 3 else None)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    got, out, err = main(*TINY, "--run-dir", "my run")
    assert (got, err) == (code, "")
    assert "interrupted: 2 of 3 generations are saved; go on with\n" in out
    command = shlex.split(out.splitlines()[-1])
    assert command == ["python", "scripts/search.py", "--resume", "my run"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert len((tmp_path / "my run" / "evaluations.jsonl").read_text().splitlines()) == 12
    fakes.FakeEvaluator.before_call = staticmethod(lambda calls: None)
    code, out, err = main(*command[2:])
    assert (code, err) == (0, "")
    assert out.startswith("resuming macro on digits")
    assert len((tmp_path / "my run" / "evaluations.jsonl").read_text().splitlines()) == 18


def test_a_terminal_gets_a_bar_that_goes_away(script, main, tmp_path, monkeypatch):
    make = console.Console
    monkeypatch.setattr(console, "Console", lambda **options: make(**options, force_terminal=True, width=160))
    code, out, _ = main(*TINY, "--run-dir", "run")
    assert code == 0
    assert "generation 3/3" in out
    assert "compiling" in out
    assert "\x1b[2K" in out, "the bar was not erased"
    assert "front: " in out.rpartition("\x1b[2K")[2]
    assert re.search(r"[\d.]+ evaluations/s  hypervolume [\d.]+ % x M  best leave-one-out error [\d.]+ %", out)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7620, "2 h 07 min")]
)
def test_durations_are_short(seconds, text):
    assert console.duration(seconds) == text


def test_help_is_quick_and_names_every_flag():
    start = time.perf_counter()
    process = python(SCRIPT, "--help")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert time.perf_counter() - start < 10  # two on a machine that does nothing else
    flags = {f"--{name.replace('_', '-')}" for name in SearchConfig.__dataclass_fields__}
    assert flags | {"--config", "--resume", "--log"} <= set(re.findall(r"--[a-z-]+", out))


def test_the_command_itself(tmp_path):
    """The real thing once: its own process, the real evaluator, no noise on the screen."""
    process = python(SCRIPT, *TINY, "--generations", "2", "--run-dir", tmp_path / "run", cwd=tmp_path)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-2] == f"run folder: {tmp_path / 'run'}"
    command = shlex.split(out.splitlines()[-1].removeprefix("next: "))
    assert command == ["python", str(SCRIPT.with_name("train.py")), "--run", str(tmp_path / "run"), "--pick", "knee"]
    assert "macro on digits" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    assert meta["platform"] == "cpu"
    assert len((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()) == 12


def test_ctrl_c_is_answered_while_xla_compiles(tmp_path):
    """A compilation holds the main thread, so that Python's own handlers would have to wait for its end."""
    stuck = f"""
import hashlib, importlib, sys
from pathlib import Path
from tests import fakes
from rwejax.runtime import signals
from rwejax.searching import console
def compile(calls):
    print("compiling", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # ten minutes without a step of Python's
signals._PATIENCE = 0.5
fakes.FakeEvaluator.before_call = staticmethod(compile)
importlib.import_module("rwejax.evaluate.scoring").ForwardPass = fakes.FakeEvaluator
sys.argv = ["scripts/search.py"]
sys.exit(console.run(fakes.tiny(run_dir=Path({str(tmp_path)!r}) / "run")))
"""
    process = python("-c", stuck)
    assert "compiling\n" in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted: 0 of 4 generations are saved; go on with" in out
