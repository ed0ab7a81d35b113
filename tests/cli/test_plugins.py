"""A run folder or a config file that somebody has sent executes nothing."""

import json
import shutil

import pytest

import rwejax
from rwejax import InputError, SearchConfig, plugins
from rwejax.searching.result import read_result
from tests.cli import commands

HOSTILE = """
import pathlib
pathlib.Path({marker!r}).write_text("executed")
def score(net): return net.labels[0]
Space = score
"""
SEARCH = {"space": "macro", "dataset": "digits", "generations": 2, "population_size": 4, "estimator": "macs"}


@pytest.fixture
def run(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("rwejax.runtime.devices.use_all_cores", lambda: None)  # only at the start of a process
    monkeypatch.chdir(tmp_path)

    def call(line):
        command, *flags = line.split()
        caller = commands.caller(commands.load(command.replace("-", "_")), monkeypatch, capfd)
        return caller(*flags)

    return call


@pytest.fixture
def sent(tmp_path):
    """Folders of a search, of a search with an estimator, and of a training, with code and its true hash."""
    file = tmp_path / "sent" / "evil.py"
    file.parent.mkdir()
    file.write_text(HOSTILE.format(marker=str(tmp_path / "marker")))
    digest = plugins._digest(file.read_bytes())
    configs = {
        "search": SEARCH | {"space": f"{file}:Space@{digest}"},
        "scored": SEARCH | {"estimator": f"macs,{file}:score@{digest}"},
        "trained": {"space": f"{file}:Space@{digest}", "architecture": "'1'"},
    }
    for name, config in configs.items():
        (tmp_path / name).mkdir()
        text = "".join(f"{key}: {value}\n" for key, value in config.items())
        (tmp_path / name / "config.yaml").write_text(text)
        (tmp_path / name / "evaluations.jsonl").write_text("")
    (tmp_path / "trained" / "evaluations.jsonl").unlink()
    (tmp_path / "trained" / "metrics.jsonl").write_text("")
    facts = {"image_shape": [8, 8, 1], "classes": 10, "mean": [0.0], "std": [1.0]}
    (tmp_path / "trained" / "meta.json").write_text(json.dumps(facts))
    (tmp_path / "truth.csv").write_text("architecture,accuracy\n1,2\n")
    return file


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("search --resume search", "--space"),
        ("search --resume scored", "--estimator"),
        ("search --config search/config.yaml", "--space"),
        ("search --config scored/config.yaml", "--estimator"),
        ("train --run search", "--space"),
        ("train --resume trained", "--space"),
        ("train --config trained/config.yaml", "--space"),
        ("export search exported", "--space"),
        ("export trained exported", "--space"),
        ("correlate-runs --run search --truth truth.csv --column accuracy", "--space"),
    ],
)
def test_no_command_executes_what_a_folder_names(run, sent, tmp_path, line, flag):
    code, out, err = run(line)

    assert not (tmp_path / "marker").exists()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    name = "Space" if flag == "--space" else "score"
    assert err.startswith(
        f"error: '{name}' is code of the file '{sent}', which is not executed unless you ask for it: "
    )
    assert f"give {flag} {sent}:{name}," in err


def test_no_function_executes_what_a_folder_names(sent, tmp_path):
    for read in (read_result, rwejax.resume):
        with pytest.raises(InputError, match=r"first call rwejax.plugins.load\("):
            read(tmp_path / "search")
    with pytest.raises(InputError, match="is not executed unless you ask for it"):
        rwejax.search(SearchConfig(estimator=f"{sent}:score", run_dir=tmp_path / "new"))
    assert not (tmp_path / "marker").exists()
    assert not (tmp_path / "new").exists()


def test_the_flag_executes_it_and_a_space_must_be_one(run, sent, tmp_path):
    code, _, err = run(f"search --space {sent}:Space")
    assert (tmp_path / "marker").exists()
    assert code == 2
    assert "is no space: end its file with rwejax.register_space(Space, Lowering(...))" in err


SCORE = "def digits_sum(net): return net.labels.sum()\n"
TINY = (
    "--nodes 2 --channels 2 --train-images 30 --validation-images 20 --population-size 4 --generations 2 "
    "--training-minutes 0"
)


@pytest.mark.slow
def test_a_file_that_has_changed_is_told_from_one_that_has_moved(run, tmp_path):
    (tmp_path / "mine.py").write_text(SCORE)
    assert run(f"search --estimator mine.py:digits_sum,macs {TINY} --run-dir found")[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "found" / "evaluations.jsonl").read_text().splitlines()]
    assert {row["digits_sum"] for row in rows} != {0}
    first = rows[:4]
    (tmp_path / "found" / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in first))

    shutil.rmtree(tmp_path / "found" / "checkpoints")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "mine.py", tmp_path / "elsewhere" / "mine.py")
    code, _, err = run("search --resume found --estimator elsewhere/mine.py:digits_sum,macs")
    assert (code, err) == (0, "")
    again = [json.loads(line) for line in (tmp_path / "found" / "evaluations.jsonl").read_text().splitlines()]
    assert [row["architecture"] for row in again] == [row["architecture"] for row in rows]

    (tmp_path / "elsewhere" / "mine.py").write_text(SCORE + "# another version\n")
    plugins._loaded.clear()  # as in a new process
    with pytest.raises(InputError, match=r"has the hash .* and had 0123456789ab when 'digits_sum' was written down"):
        plugins.load("elsewhere/mine.py:digits_sum@0123456789ab")
    code, _, err = run("search --resume found --estimator elsewhere/mine.py:digits_sum,macs")
    assert code == 2
    assert "has the hash" in err
    assert "restore it, or start a new run" in err


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (None, "score", "is unreadable (No such file or directory)"),
        ("def score(net:\n", "score", "line 1 of file"),
        ("x = 1\ny = x / 0\n", "score", "fails (ZeroDivisionError: division by zero): mend it"),
        ("def other(net): return 0\n", "score", "has no 'score': give a name that it defines"),
        ("def score(): return 0\n", "score", "'score' takes nothing: give a function of one network"),
        ("def score(a, b, c): return 0\n", "score", "'score' takes a, b, c: give a function of one network"),
        ("score = 3\n", "score", "'score' is no function"),
        ("def nwot(net): return 0.0\n", "nwot", "'nwot' has the name of something else"),
        ("def seconds(net): return 0.0\n", "seconds", "'seconds' has the name of something else"),
        ("def vector(net): return net.labels\n", "vector", "'vector' returns an array of shape (30,)"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(run, tmp_path, content, name, words):
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    code, _, err = run(f"search --estimator mine.py:{name} {TINY}")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert words in err
