"""When pages are written, what they say, and what happens where they cannot be."""

import base64
import importlib.util
import io
import os
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

import rwejax
from rwejax import InputError, TrainConfig
from rwejax.cli import main
from rwejax.reporting import drawings, from_run
from rwejax.reporting.from_run import report
from rwejax.reporting.observer import ReportObserver
from rwejax.searching.config import SearchConfig
from rwejax.searching.images import SAMPLES
from rwejax.searching.records import Run
from rwejax.searching.result import read_result
from rwejax.searching.trained.verdict import judge
from rwejax.storage.contact_sheet import read_sheet, write_sheet
from rwejax.training.predictions import PICTURES, Collector, read_predictions, worst_mistakes
from tests import fakes
from tests.reporting import runs


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = runs.search(tmp_path_factory.mktemp("searched") / "run")
    return folder, report(folder).read_text(encoding="utf-8")


def test_a_search_says_what_it_found_and_what_to_type(searched):
    folder, page = searched
    result = read_result(folder)
    for sentence in judge(result.trained).sentences:
        assert sentence[1:].replace("+-", "±").replace("'", "&#39;") in page
    assert result.forecast.check().judgement[1:] in page
    assert "interrupted: 2 of 3 generations" in page.lower()
    assert f"search --resume {folder}" in page
    for row in result.front:
        assert f"<code>{result.evaluations[row].architecture}</code>" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold</b>" not in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.?https?:", page)


def test_pictures_are_those_of_the_sheet(searched):
    folder, page = searched
    rows = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="images of class', page)
    sheet = read_sheet(folder / SAMPLES)
    assert len(rows) == len(sheet) == 10
    for row, pixels in zip(rows, sheet, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(row))))
        np.testing.assert_array_equal(shown, np.concatenate(pixels[..., 0], axis=1))


def test_drawings_have_as_much_room_as_there_is(searched, monkeypatch):
    folder, page = searched
    result = read_result(folder)
    assert page.count('<a class="drawing"') == len(result.front)
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    assert set(files) == {f"network-{place}.svg" for place in range(1, len(result.front) + 1)}
    for place, row in enumerate(result.front, start=1):
        assert result.evaluations[row].architecture in files[f"network-{place}.svg"]
    assert len(page.encode()) < 3e6
    monkeypatch.setattr(drawings, "_MOST_BYTES", 200_000)
    few = report(folder, folder / "few.html").read_text(encoding="utf-8")
    assert 1 < few.count('<a class="drawing"') < len(result.front)


def test_without_a_drawer_it_says_what_to_install(searched, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    page = report(searched[0], searched[0] / "plain.html").read_text(encoding="utf-8")
    assert "pip install &#39;rwejax[draw]&#39;" in page or "pip install 'rwejax[draw]'" in page


@pytest.mark.parametrize("kind", ["search", "training"])
def test_a_run_of_an_old_version_has_a_page_and_the_command_says_where(kind, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(runs.OLD / kind, tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["rwejax", "report", str(folder)])
    assert main.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    assert "interrupted: 2 of 3" in (folder / "report.html").read_text(encoding="utf-8").lower()


def test_a_search_that_has_just_begun_has_a_page(tmp_path):
    folder = shutil.copytree(runs.OLD / "search", tmp_path / "run")
    for name in ("evaluations.jsonl", "history.csv", "front.csv", "meta.json"):
        (folder / name).unlink()
    assert "Nothing has been evaluated yet" in report(folder).read_text(encoding="utf-8")


def test_confused_classes_are_counted(tmp_path):
    folder = runs.training(tmp_path / "run")
    found = read_predictions(folder)
    wrong = found.labels != found.predicted
    page = report(folder).read_text(encoding="utf-8")
    assert f"24 of the {wrong.sum()} test images" in page
    for label in range(10):
        mine = found.labels == label
        assert f"{100 * (mine & ~wrong).sum() / mine.sum():.1f} % of {mine.sum()}" in page
    (folder / "predictions.csv").write_text("label,predicted,probability\n3,10,0.5\n")
    with pytest.raises(InputError, match=r"has class 10, but meta\.json names 10: restore"):
        report(folder)


def test_the_worst_mistakes_are_kept_whatever_the_batches(tmp_path):
    random = np.random.default_rng(3)
    images = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    labels, predicted, probability = random.integers(0, 3, 200), random.integers(0, 3, 200), random.random(200).round(2)
    sheets = []
    for size in (7, 200):
        collector, folder = Collector(np.zeros(3), np.ones(3)), tmp_path / str(size)
        folder.mkdir()
        for start in range(0, 200, size):
            part = slice(start, start + size)
            collector.add(images[part], labels[part], predicted[part], probability[part])
        collector.write(folder)
        sheets.append(read_sheet(folder / PICTURES)[0, :, 0, 0, 0])
    found = read_predictions(tmp_path / "7")
    np.testing.assert_array_equal(found.probability, probability)
    assert sheets[0].tolist() == sheets[1].tolist() == worst_mistakes(found).tolist()
    assert (labels != predicted)[sheets[0]].all()
    assert probability[sheets[0]].min() >= np.delete(probability * (labels != predicted), sheets[0]).max()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_sheet_is_read_as_it_was_written(channels, tmp_path):
    pixels = np.random.default_rng(channels).integers(0, 256, (2, 3, 5, 4, channels)).astype(np.uint8)
    write_sheet(tmp_path / "sheet.png", pixels)
    np.testing.assert_array_equal(read_sheet(tmp_path / "sheet.png"), pixels[..., :1] if channels == 2 else pixels)


def test_a_foreign_sheet_is_refused(tmp_path):
    path = tmp_path / "sheet.png"
    assert read_sheet(path) is None
    Image.new("L", (8, 8)).save(path)
    for content in (path.read_bytes(), b"GIF89a", path.read_bytes()[:40]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is broken .*: restore it"):
            read_sheet(path)


def test_what_cannot_be_reported_is_answered_in_a_sentence(searched, tmp_path):
    folder = searched[0]
    with pytest.raises(InputError, match=r"holds no config\.yaml: give the folder of a run"):
        report(tmp_path)
    with pytest.raises(InputError, match="no run is named"):
        report([])
    with pytest.raises(InputError, match="exists: give another file"):
        report(folder, folder / "config.yaml")
    with pytest.raises(InputError, match="searches and others trainings"):
        report([folder, runs.OLD / "training"], tmp_path / "page.html")


def test_an_interrupted_search_has_a_page_and_one_at_work_says_so(tmp_path, monkeypatch, capsys):
    class Impatient(rwejax.SearchObserver):
        def on_generation(self, progress):
            if progress.generation == 2:
                raise KeyboardInterrupt

    fakes.use(monkeypatch)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        rwejax.search(fakes.tiny(run_dir=folder), [rwejax.ReportObserver(), Impatient()])
    assert capsys.readouterr().out == ""
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Interrupted: 2 of 4 generations" in page
    assert f"search --resume {folder}" in page
    assert page.count('alt="images of class') == 10
    with Run.open(folder):
        page = report(folder).read_text(encoding="utf-8")
    assert "Still at work: 2 of 4 generations" in page
    assert f"status {folder}" in page


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Ends an observed run, whose page is not made; what was made and what was said."""
    made, said = [], []

    def write_report(folder, path, **options):
        made.append(folder)
        path.write_text("page")

    monkeypatch.setattr(from_run, "write_report", write_report)

    def end(folder, config):
        observer = ReportObserver(said.append)
        observer.on_start(config, folder, 0)
        observer.close()
        observer.close()
        return made, said

    return end


@pytest.mark.parametrize(("kind", "config"), [("search", SearchConfig()), ("training", TrainConfig())])
def test_a_page_is_written_at_the_end_and_again_when_there_is_news(kind, config, ended, tmp_path):
    folder = shutil.copytree(runs.OLD / kind, tmp_path / "run")
    made, said = ended(folder, config)
    assert (made, said) == ([folder], [])
    ended(folder, config)
    assert made == [folder]
    lines = folder / ("evaluations.jsonl" if kind == "search" else "metrics.jsonl")
    newer = (folder / "report.html").stat().st_mtime + 10
    os.utime(lines, (newer, newer))
    ended(folder, config)
    assert made == [folder, folder]


def test_a_page_that_fails_costs_a_line_and_nothing_else(ended, tmp_path, monkeypatch):
    def write_report(*_, **__):
        raise ZeroDivisionError("of\nsome kind")

    monkeypatch.setattr(from_run, "write_report", write_report)
    folder = shutil.copytree(runs.OLD / "search", tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    _, (said,) = ended(folder, SearchConfig())
    assert re.fullmatch(r"report.html was not written \(of some kind\): try again with .*report.* .*run", said)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
