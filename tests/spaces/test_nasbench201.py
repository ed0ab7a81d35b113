import csv
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax import spaces
from rwejax.errors import InputError

SPACE = spaces.get("nasbench201")
CELLS = np.array(list(itertools.product(range(5), repeat=6)), np.int32)
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))


@pytest.fixture(scope="module")
def forms():
    return SPACE.canonical(CELLS)


@pytest.fixture(scope="module")
def rows(truth):
    with (truth / "nasbench201.csv").open() as file:
        return list(csv.DictReader(file))


def benchmark_text(cell):
    """The text that the benchmark compares: sorted sums, `#` for zero, a skip as its source's text."""
    nodes = ["0"]
    for node in (1, 2, 3):
        total = []
        for gene, (reader, source) in zip(cell, EDGES, strict=True):
            if reader == node:
                operation, text = SPACE.operations[gene], nodes[source]
                is_zero = operation == "none" or text == "#"
                total.append("#" if is_zero else text if operation == "skip_connect" else f"({text})@{operation}")
        nodes.append("+".join(sorted(total)))
    return nodes[3]


def output(cell, kernels, pool, image):
    """The cell as a function of an image, with one kernel for each edge that holds a convolution."""
    nodes = [image, *np.zeros((3, len(image)))]
    for edge, (node, source) in enumerate(EDGES):
        operation = SPACE.operations[cell[edge]]
        if operation == "skip_connect":
            nodes[node] = nodes[node] + nodes[source]
        elif operation == "avg_pool_3x3":
            nodes[node] = nodes[node] + pool @ nodes[source]
        elif operation != "none":
            nodes[node] = nodes[node] + kernels[edge] @ np.maximum(nodes[source], 0)
    return nodes[3]


def convolutions(space, cell):
    """Every convolution of the network as (taps, channels in, channels out, pixels out, norms)."""
    height, width, channels = space.input_shape
    yield 9, channels, space.channels, height * width, 1
    channels = space.channels
    for stage in range(3):
        if stage:
            height, width, channels = height // 2, width // 2, channels * 2
            yield 9, channels // 2, channels, height * width, 1
            yield 9, channels, channels, height * width, 1
            yield 1, channels // 2, channels, height * width, 0
        for gene in list(cell) * space.cells:
            if "conv" in space.operations[gene]:
                yield 9 if "3x3" in space.operations[gene] else 1, channels, channels, height * width, 1


def test_complexity_equals_the_benchmark(rows):
    population = np.stack([SPACE.from_string(row["architecture"]) for row in rows])
    assert len(population) == 1000
    assert SPACE.params(population).tolist() == [int(row["params"]) for row in rows]
    flops = np.array([int(row["flops"]) for row in rows])
    assert np.abs(SPACE.macs(population) - (flops - 10)).max() <= 60


@pytest.mark.parametrize(
    "options",
    [{}, {"channels": 3, "cells": 2, "input_shape": (8, 12, 1), "classes": 7}, {"channels": 512, "cells": 40}],
)
def test_complexity_is_the_sum_over_the_layers(options):
    space = spaces.get("nasbench201", **options)
    population = CELLS[::1000]
    last = 4 * space.channels
    macs, params = space.macs(population), space.params(population)
    for cell, mac, param in zip(population, macs, params, strict=True):
        layers = list(convolutions(space, cell))
        assert mac == sum(k * i * o * pixels for k, i, o, pixels, _ in layers) + last * space.classes
        weights = sum(k * i * o + 2 * o * norms for k, i, o, _, norms in layers)
        assert param == weights + 2 * last + (last + 1) * space.classes


def test_stages_halve_the_map_and_double_the_channels():
    assert SPACE.stages == ((32, 32, 16), (16, 16, 32), (8, 8, 64))
    assert spaces.get("nasbench201", channels=5, input_shape=(8, 12, 1)).stages == ((8, 12, 5), (4, 6, 10), (2, 3, 20))


def test_canonical_counts_the_networks(forms):
    assert len(np.unique(forms, axis=0)) == 5260


def test_dead_cells_are_one_class(forms):
    carries = CELLS != 0
    alive = carries[:, 3] | carries[:, 0] & carries[:, 4] | carries[:, 1] & carries[:, 5]
    alive |= carries[:, 0] & carries[:, 2] & carries[:, 5]
    assert ((forms == 0).all(-1) == ~alive).all()


def test_canonical_is_the_cheapest_of_its_class(forms):
    _, classes = np.unique(forms, axis=0, return_inverse=True)
    cheapest = np.full(classes.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(cheapest, classes, SPACE.macs(CELLS))
    assert (SPACE.macs(forms) == cheapest[classes]).all()


def kernels_handed_over(cell, form, seed):
    """Does some way of handing the kernels of a cell to the convolutions of another give the same output?"""
    rng = np.random.default_rng(seed)
    image, pool, kernels = rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=(6, 4, 4))
    expected = output(cell, kernels, pool, image)
    kinds = [gene for gene, operation in enumerate(SPACE.operations) if "conv" in operation]
    receivers = [np.flatnonzero(form == kind) for kind in kinds]
    givers = [np.flatnonzero(cell == kind) for kind in kinds]
    ways = [itertools.permutations(have, len(want)) for have, want in zip(givers, receivers, strict=True)]
    for way in itertools.product(*ways):
        moved = np.zeros_like(kernels)
        for edges, source in zip(receivers, way, strict=True):
            moved[edges] = kernels[list(source)]
        if np.allclose(output(form, moved, pool, image), expected, rtol=1e-9, atol=1e-9):
            return True
    return False


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(CELLS) - 1), st.integers(0, 2**31))
def test_canonical_computes_the_same(forms, code, seed):
    assert kernels_handed_over(CELLS[code], forms[code], seed)


def test_the_benchmark_counts_texts(forms):
    """Its 6,466 is another partition: 430 texts stand for networks that are different as functions."""
    networks = {}
    for cell, form in zip(CELLS, forms, strict=True):
        networks.setdefault(benchmark_text(cell), set()).add(tuple(form.tolist()))
    assert len(networks) == 6466
    merged = [different for different in networks.values() if len(different) > 1]
    assert len(merged) == 430
    for different in merged:
        for cell, other in itertools.permutations(map(np.array, different), 2):
            assert not kernels_handed_over(cell, other, seed=0)


@pytest.mark.parametrize(
    ("cell", "other", "same"),
    [
        ((1, 0, 3, 0, 0, 1), (0, 3, 0, 0, 0, 1), True),  # a node that is its source
        ((3, 0, 0, 1, 0, 0), (0, 0, 0, 1, 0, 0), True),  # a node that nothing reads
        ((0, 1, 3, 0, 0, 3), (0, 1, 0, 0, 0, 3), True),  # a convolution of the zero node
        ((3, 0, 0, 0, 1, 0), (0, 3, 0, 0, 0, 1), True),  # a convolution as node 1 or as node 2
        ((2, 3, 0, 0, 1, 1), (3, 2, 0, 0, 1, 1), True),  # nodes 1 and 2 exchanged
        ((0, 2, 0, 2, 0, 1), (2, 0, 1, 0, 1, 1), False),  # two kernels, or one that is read twice
        ((0, 4, 0, 4, 0, 1), (4, 0, 1, 0, 1, 1), True),  # pools have no kernels
        ((3, 3, 0, 0, 1, 1), (3, 0, 0, 0, 1, 0), False),  # two kernels on one source are two terms
        ((2, 1, 1, 0, 0, 3), (2, 0, 0, 3, 3, 0), False),  # a convolution of a sum is no sum of convolutions
        ((2, 0, 3, 0, 0, 1), (3, 0, 2, 0, 0, 1), False),  # 1x1 then 3x3 is not 3x3 then 1x1
    ],
)
def test_canonical_of_small_cells(cell, other, same):
    first, second = SPACE.canonical(np.array([cell, other], np.int32))
    assert (first == second).all() == same


def test_text_round_trip_of_the_benchmark(rows):
    for row in rows:
        assert SPACE.to_string(SPACE.from_string(row["architecture"])) == row["architecture"]


def test_text_is_in_the_order_of_the_genes():
    text = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    assert SPACE.from_string(text).tolist() == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has 1 nodes: 3 joined by"),
        ("|none~0|+|none~0|none~1|", "has 2 nodes: 3 joined by"),
        ("|none~0|+none~0|none~1|+|none~0|none~1|none~2|", "node 2 is 'none~0|none~1|', not edges between bars"),
        ("|none~0|+|+|none~0|none~1|none~2|", "node 2 is '|', not edges between bars"),
        ("|none~0|+|none~0|none~1|none~2|+|none~0|none~1|none~2|", "node 2 has 3 edges instead of 2"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "node 3 has 2 edges instead of 3"),
        (
            "|none~0|+|none~0|conv~1|+|none~0|none~1|none~2|",
            "edge 3, from node 1 to node 2, is 'conv~1', not one of none",
        ),
        ("|none~0|+|none~0|none~1|+|none~1|none~1|none~2|", "edge 4, from node 0 to node 3, is 'none~1'.* and then ~0"),
        ("|none|+|none~0|none~1|+|none~0|none~1|none~2|", "edge 1, from node 0 to node 1, is 'none'"),
    ],
)
def test_bad_text_names_the_place(text, sentence):
    with pytest.raises(ValueError, match=sentence.replace("|", r"\|")):
        SPACE.from_string(text)


def test_images_halve_twice():
    with pytest.raises(InputError, match=r"32 x 30 pixels.*multiple of 4"):
        spaces.get("nasbench201", input_shape=(32, 30, 3))
