"""The picture: where boxes and lines are, and what is written."""

import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwejax import spaces
from rwejax.drawing.from_run import draw
from rwejax.drawing.graph import make_graph, panels
from rwejax.drawing.layout import lay_out
from tests.registered import alive, every_compiled_space, small

pytest.importorskip("fast_sugiyama", reason="the extra draw is not installed")

SHAPE = (16, 16, 3)


def written(path):
    """The texts of a drawing, which are drawn as outlines."""
    ElementTree.parse(path)
    return re.findall("<!-- (.*?) -->", path.read_text())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_boxes_are_apart_and_below_what_they_read(drawn):
    edges = list(dict.fromkeys((number % (1 + k // 2), 1 + k // 2) for k, number in enumerate(drawn)))
    boxes, lines = lay_out(edges)
    apart = np.abs(boxes[:, None] - boxes).max(-1)
    assert apart[~np.eye(len(boxes), dtype=bool)].min() > 0.99
    assert Counter((*line[0], *line[-1]) for line in lines) == Counter((*boxes[a], *boxes[b]) for a, b in edges)
    for line in lines:
        assert (np.diff(line[:, 1]) == -1).all()
        for point in line[1:-1]:
            assert np.abs(boxes - point).max(-1).min() > 0.4, "a line passes through a box"


def test_what_is_not_connected_stands_side_by_side():
    boxes, lines = lay_out([(0, 1), (0, 2), (3, 4)])
    assert len(lines) == 3
    assert boxes[:3, 0].max() < boxes[3:, 0].min()


@every_compiled_space
def test_every_operation_is_drawn_once_for_parts_alike(name, tmp_path):
    space = small(name, SHAPE)
    genome = alive(space, 5)[0][0]
    texts = Counter(written(draw(space, genome, tmp_path / "network.svg")))
    graph = make_graph(space, genome)
    names = Counter(graph.operations[rows[0]].name.replace("_", " ") for panel in panels(graph) for rows in panel.rows)
    assert all(texts[each] >= count for each, count in names.items())
    assert texts["image  16 x 16 x 3"] == 1
    assert draw(space, genome, tmp_path / "again.svg").read_text() == (tmp_path / "network.svg").read_text()


def test_what_a_box_says(tmp_path):
    space = spaces.get("macro", nodes=2, channels=4, input_shape=SHAPE)
    texts = written(draw(space, space.from_string("macro:2:11-10-11"), tmp_path / "network.svg"))
    # A 3x3 convolution of 4 to 4 channels and its normalisation, for 14 x 14 pixels.
    place = texts.index("node")
    macs, params = 14 * 14 * 9 * 16, 9 * 16 + 8
    assert texts[place : place + 4] == ["node", "14 x 14 x 4", f"{macs / 1e3:.3g} k macs", f"{params} params"]
    assert {"phase 1", "phase 2", "phase 3", "linear"} < set(texts)
