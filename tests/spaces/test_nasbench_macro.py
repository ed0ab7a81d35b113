import csv
import itertools
import re

import numpy as np
import pytest

from rwejax import spaces
from rwejax.errors import InputError

SPACE = spaces.get("nasbench_macro")
GENOMES = np.array(list(itertools.product(range(3), repeat=8)), np.int32)


@pytest.fixture(scope="module")
def forms():
    return SPACE.canonical(GENOMES)


@pytest.fixture(scope="module")
def rows(truth):
    with (truth / "nasbench_macro.csv").open() as file:
        return list(csv.DictReader(file))


def network(genome):
    """The layers that do something, in order, each with the stage that it belongs to."""
    stages = "00111222"
    starts = (0, 2, 5)
    return [(stages[i], gene) for i, gene in enumerate(genome) if gene or i in starts]


def convolutions(space, genome):
    """Every convolution of the network as (weights, pixels out, channels normalised)."""
    height, width, image_channels = space.input_shape
    yield 9 * image_channels * space.channels, height * width, space.channels
    channels = space.channels
    for place, gene in enumerate(genome):
        read, inputs = height * width, channels
        if place in (0, 2, 5):
            height, width, channels = -(-height // 2), -(-width // 2), 2 * channels
            if gene == 0:
                yield inputs * channels, height * width, channels
        if gene:
            expansion, kernel = ((3, 3), (6, 5))[gene - 1]
            yield inputs * expansion * inputs, read, expansion * inputs
            yield kernel * kernel * expansion * inputs, height * width, expansion * inputs
            yield expansion * inputs * channels, height * width, channels
    yield channels * 1280, height * width, 1280


@pytest.mark.parametrize(("measure", "column"), [("params", "params"), ("macs", "flops")])
def test_complexity_equals_the_benchmark(rows, measure, column):
    population = np.stack([SPACE.from_string(row["architecture"]) for row in rows])
    assert len(population) == 500
    assert getattr(SPACE, measure)(population).tolist() == [int(row[column]) for row in rows]


@pytest.mark.parametrize(
    "options", [{}, {"channels": 3, "input_shape": (9, 14, 1), "classes": 7}, {"input_shape": (512, 512, 3)}]
)
def test_complexity_is_the_sum_over_the_layers(options):
    space = spaces.get("nasbench_macro", **options)
    population = GENOMES[::300]
    macs, params = space.macs(population), space.params(population)
    for genome, mac, param in zip(population, macs, params, strict=True):
        layers = list(convolutions(space, genome))
        assert mac == sum(weights * pixels for weights, pixels, _ in layers) + 1280 * space.classes
        assert param == sum(weights + 2 * normed for weights, _, normed in layers) + 1281 * space.classes


def test_layers_are_the_places_of_the_row():
    assert SPACE.layers == (
        (2, 32, 64, 16, 16),
        (1, 64, 64, 16, 16),
        (2, 64, 128, 8, 8),
        (1, 128, 128, 8, 8),
        (1, 128, 128, 8, 8),
        (2, 128, 256, 4, 4),
        (1, 256, 256, 4, 4),
        (1, 256, 256, 4, 4),
    )
    odd = spaces.get("nasbench_macro", input_shape=(9, 14, 3)).layers
    assert [(layer.height, layer.width) for layer in odd if layer.stride == 2] == [(5, 7), (3, 4), (2, 2)]


def test_canonical_is_one_form_a_network(forms):
    """All 6,561 genomes: the same form exactly where the same layers remain."""
    assert [network(form) for form in forms] == [network(genome) for genome in GENOMES]
    assert len(np.unique(forms, axis=0)) == len({str(network(genome)) for genome in GENOMES}) == 9 * 21 * 21


def test_canonical_keeps_the_complexity(forms):
    assert (SPACE.macs(forms) == SPACE.macs(GENOMES)).all()
    assert (SPACE.params(forms) == SPACE.params(GENOMES)).all()


@pytest.mark.parametrize(
    ("text", "form"),
    [("00001001", "00010010"), ("01202202", "01220220"), ("01212021", "01212021"), ("20012112", "20012112")],
)
def test_canonical_moves_identities_back(text, form):
    assert (SPACE.canonical(SPACE.from_string(text)[None])[0] == SPACE.from_string(form)).all()


def test_text_round_trip_of_the_benchmark(rows):
    for row in rows:
        assert re.sub("[^012]", "", SPACE.to_string(SPACE.from_string(row["architecture"]))) == row["architecture"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("01230120", "character 4 is '3', not 0, 1 or 2"),
        ("0120 120", "character 5 is ' '"),
        ("012", "has 3 digits: 8"),
        ("0" * 9, "has 9 digits: 8"),
    ],
)
def test_bad_text_names_the_place(text, names):
    with pytest.raises(ValueError, match=names):
        SPACE.from_string(text)


def test_images_halve_three_times():
    with pytest.raises(InputError, match=r"32 x 7 pixels.*at least 8 x 8"):
        spaces.get("nasbench_macro", input_shape=(32, 7, 3))
