from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_backend
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from rwejax.objectives import RWE_SCORES
from rwejax.searching.config import SearchConfig
from rwejax.searching.plot import plot_front, plot_trained, save_front
from rwejax.searching.records import Evaluation
from rwejax.searching.result import SearchResult, read_result
from tests.reporting import runs


def make_result(objectives, **config):
    evaluations = [
        Evaluation(row, row // 4 + 1, "01", tuple(point), dict.fromkeys(RWE_SCORES, 1.0), 1, 1, 0, 1.0)
        for row, point in enumerate(objectives.tolist())
    ]
    config = SearchConfig(**{"population_size": 4, "generations": 10, "estimator": "rwe"} | config)
    genomes = np.zeros((len(objectives), 1), np.int32)
    return SearchResult(genomes, objectives, tuple(evaluations), Path("run"), config)


@pytest.fixture
def objectives():
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(30, 60, 40), rng.uniform(2, 9, 40)], axis=1)


def draw(result):
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plot_front(result, axes)
    figure.canvas.draw()
    return axes


def test_every_evaluation_is_a_dot_and_the_front_a_line(objectives):
    result = make_result(objectives)
    axes = draw(result)
    first, second, third = axes.collections  # shapes say what colours say
    dots = np.concatenate([each.get_offsets() for each in (first, second, third)])
    np.testing.assert_array_equal(dots, objectives[:, ::-1])
    generations = [np.unique(each.get_array()).tolist() for each in (first, second, third)]
    assert generations == [[1], [2, 3, 4, 5, 6], [7, 8, 9, 10]]
    assert len({each.get_paths()[0].vertices.tobytes() for each in (first, second, third)}) == 3
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_xydata(), objectives[result.front][:, ::-1])


def test_points_that_are_not_finite_are_left_out(objectives):
    objectives[3, 0] = np.inf
    axes = draw(make_result(objectives))
    assert sum(len(each.get_offsets()) for each in axes.collections) == 39


@pytest.mark.parametrize("score", RWE_SCORES)
def test_axes_have_units_and_the_title_says_what_was_searched(objectives, score):
    axes = draw(make_result(objectives, score=score, dataset="folder:/home/me/birds/", algorithm="random"))
    assert axes.get_xlabel() == "multiply-adds (M), lower is better"
    assert axes.get_ylabel().removeprefix("negative ") == f"{RWE_SCORES[score].title}, lower is better"
    assert axes.get_ylabel().startswith("negative") == (score == "log_evidence")
    assert axes.get_title(loc="left") == "macro on birds, random search, 40 evaluations"


@pytest.mark.parametrize("count", [1, 40])
def test_a_figure_is_a_whole_png_and_leaves_matplotlib_alone(tmp_path, objectives, count):
    backend = get_backend(auto_select=False)
    save_front(make_result(objectives[:count]), tmp_path / "front.png")
    with Image.open(tmp_path / "front.png") as image:
        image.load()
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 20)) > 20, "the figure is empty"
    assert get_backend(auto_select=False) == backend
    assert [path.name for path in tmp_path.iterdir()] == ["front.png"]


def test_vectors_are_the_same_each_time_and_have_their_texts(tmp_path, objectives):
    for name in ("front.svg", "again.svg"):
        save_front(make_result(objectives), tmp_path / name)
    text = (tmp_path / "front.svg").read_text(encoding="utf-8")
    assert (tmp_path / "again.svg").read_text(encoding="utf-8") == text
    assert ">multiply-adds (M), lower is better</text>" in text


def test_the_trained_front_has_its_numbers_and_chance(tmp_path):
    result = read_result(runs.search(tmp_path / "run"))
    axes = Figure().add_subplot()
    plot_trained(result, axes)
    places = {tuple(text.xy): text.get_text() for text in axes.texts}
    for place, row in enumerate(result.front, start=1):
        point = result.evaluations[row].macs / 1e6, result.outcome.error[row]
        assert places[point] == str(place) + ", knee" * int(row == result.pick())
    random = [each for each in result.trained if each.role == "random"]
    dotted = next(line for line in axes.lines if line.get_linestyle() == ":")
    best = min(random, key=lambda each: each.validation_error)
    assert dotted.get_xydata()[-1].tolist() == [best.macs / 1e6, best.validation_error]


def test_three_objectives_are_drawn_two_by_two(tmp_path, objectives):
    three = np.column_stack([objectives, objectives[::-1, 1]])
    result = make_result(three, costs="macs,memory")
    axes = Figure().add_subplot()
    plot_front(result, axes, x=2, y=1)
    dots = np.concatenate([each.get_offsets() for each in axes.collections])
    np.testing.assert_array_equal(dots, three[:, [2, 1]])
    titles = axes.get_xlabel(), axes.get_ylabel()
    assert titles == ("activation memory (KiB), lower is better", "multiply-adds (M), lower is better")
    save_front(result, tmp_path / "three.png")
    save_front(make_result(objectives), tmp_path / "two.png")
    with Image.open(tmp_path / "three.png") as image, Image.open(tmp_path / "two.png") as other:
        assert image.width == 3 * other.width
