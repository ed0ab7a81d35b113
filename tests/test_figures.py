from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_backend
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from rwejax.objectives import RWE_SCORES
from rwejax.searching.config import SearchConfig
from rwejax.searching.plot import plot_front, save_front
from rwejax.searching.records import Evaluation
from rwejax.searching.result import SearchResult


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
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), objectives[:, ::-1])
    np.testing.assert_array_equal(axes.collections[0].get_array(), np.repeat(np.arange(1, 11), 4))
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_xydata(), objectives[result.front][:, ::-1])


def test_points_that_are_not_finite_are_left_out(objectives):
    objectives[3, 0] = np.inf
    axes = draw(make_result(objectives))
    assert len(axes.collections[0].get_offsets()) == 39


@pytest.mark.parametrize("score", RWE_SCORES)
def test_axes_have_units_and_the_title_says_what_was_searched(objectives, score):
    axes = draw(make_result(objectives, score=score, dataset="folder:/home/me/birds/", algorithm="random"))
    assert axes.get_xlabel() == "multiply-adds (M)"
    assert axes.get_ylabel().removeprefix("negative ") == RWE_SCORES[score].title
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


def test_three_objectives_are_drawn_two_by_two(tmp_path, objectives):
    three = np.column_stack([objectives, objectives[::-1, 1]])
    result = make_result(three, costs="macs,memory")
    axes = Figure().add_subplot()
    plot_front(result, axes, x=2, y=1)
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), three[:, [2, 1]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("activation memory (KiB)", "multiply-adds (M)")
    save_front(result, tmp_path / "three.png")
    save_front(make_result(objectives), tmp_path / "two.png")
    with Image.open(tmp_path / "three.png") as image, Image.open(tmp_path / "two.png") as other:
        assert image.width == 3 * other.width
