"""Runs of version 0.1.0, whose lines hold the bare digits of a genome."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

import rwejax
from rwejax.searching.loop import resume, search
from tests import fakes
from tests.registered import compiled

BARE = {
    "macro": lambda text: re.sub("-", "", text.removeprefix("macro:3:")),
    "micro": lambda text: " ".join(re.sub("-", "", text.removeprefix("micro:"))),
}
SIZES = {"macro": {}, "micro": {"nodes": None, "layers": 3}}


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.setattr("rwejax.searching.plot.save_front", lambda result, path: path.write_bytes(b""))
    return fakes.use(monkeypatch)


def make_old(run, bare):
    """The folder as version 0.1.0 would have written it."""
    path = run / "evaluations.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = [{**line, "architecture": bare(line["architecture"])} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in old))
    (run / "front.csv").unlink()
    return old


def front(run):
    with (run / "front.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("space", compiled(BARE))
def test_an_old_run_is_resumed_as_if_it_were_new(space, fake, tmp_path):
    config = fakes.tiny(space=space, generations=3, **SIZES[space])
    whole = search(dataclasses.replace(config, run_dir=tmp_path / "whole"))
    fake.calls = 0

    def stop(calls):
        if calls == 3:
            raise KeyboardInterrupt

    fake.before_call = staticmethod(stop)
    with pytest.raises(KeyboardInterrupt):
        search(dataclasses.replace(config, run_dir=tmp_path / "old"))
    fake.before_call = staticmethod(lambda calls: None)
    old = make_old(tmp_path / "old", BARE[space])
    assert len(old) == 12
    assert all(re.fullmatch(r"\d+( \d)*", line["architecture"]) for line in old)
    resumed = resume(tmp_path / "old")
    np.testing.assert_array_equal(resumed.genomes, whole.genomes)
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)
    assert [each.architecture for each in resumed.evaluations] == [each.architecture for each in whole.evaluations]
    assert front(tmp_path / "old") == front(tmp_path / "whole")
    written = [
        json.loads(line)["architecture"] for line in (tmp_path / "old" / "evaluations.jsonl").read_text().splitlines()
    ]
    assert written[:12] == [line["architecture"] for line in old]
    assert written[12:] == [each.architecture for each in whole.evaluations[12:]]


def test_a_finished_old_run_is_read_in_the_new_form(tmp_path):
    search(fakes.tiny(generations=2, run_dir=tmp_path / "run"))
    expected = front(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "old")
    make_old(tmp_path / "old", lambda text: " ".join(text.removeprefix("macro:3:").split("-")))
    texts = [each.architecture for each in rwejax.load(tmp_path / "run").evaluations]
    assert [each.architecture for each in rwejax.load(tmp_path / "old").evaluations] == texts
    assert all(text.startswith("macro:3:") for text in texts)
    resume(tmp_path / "old")
    assert front(tmp_path / "old") == expected
