"""What holds for both spaces of cells."""

import itertools
import math
import re

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.spaces.cells import Cell

SPACES = ("micro", "darts")


def read(space, genome):
    """Two cells as plain lists of blocks ((operation, input), (operation, input)), by way of the text."""
    text = space.to_string(genome)
    if space.name == "micro":
        genes = [int(digit) for digit in text if digit.isdigit()]
        pairs = [(space.operations[op], source) for op, source in zip(genes[::2], genes[1::2], strict=True)]
    else:
        pairs = [(op, int(source)) for op, source in re.findall(r"\('(\w+)', (\d+)\)", text)]
    blocks = list(zip(pairs[::2], pairs[1::2], strict=True))
    return blocks[: space.blocks], blocks[space.blocks :]


def write(space, cells):
    """The genome of two cells, by way of the text."""
    if space.name == "micro":
        pairs = [branch for cell in cells for block in cell for branch in block]
        return space.from_string(" ".join(f"{space.operations.index(op)} {source}" for op, source in pairs))
    normal, reduction = ([branch for block in cell for branch in block] for cell in cells)
    concat = "concat=range(2, 6)"
    return space.from_string(f"Genotype(normal={normal}, normal_{concat}, reduce={reduction}, reduce_{concat})")


def reads(block):
    """The blocks that a block reads."""
    return {source - 2 for op, source in block if op != "none" and source >= 2}


def renumbered(cell, order):
    """The cell with block order[0] first, order[1] second; None where a block would come before one that it reads."""
    place = {block: k for k, block in enumerate(order)}
    if any(place[source] > place[block] for block in order for source in reads(cell[block])):
        return None
    return [
        tuple((op, 2 + place[source - 2] if source >= 2 and op != "none" else source) for op, source in cell[block])
        for block in order
    ]


def disguised(cell, data):
    """Another text of the same cell: blocks in another order, branches swapped, the inputs of `none` drawn anew."""
    orders = [renumbered(cell, order) for order in itertools.permutations(range(len(cell)))]
    blocks = []
    for place, block in enumerate(data.draw(st.sampled_from([cell for cell in orders if cell]))):
        block = list(block)
        nones = [k for k, (op, _) in enumerate(block) if op == "none"]
        taken = {source for op, source in block if op != "none"}
        free = st.permutations([source for source in range(2 + place) if source not in taken])
        for k, source in zip(nones, data.draw(free), strict=False):
            block[k] = ("none", source)
        blocks.append(tuple(data.draw(st.permutations(block))))
    return blocks


def as_networks(cell):
    """All renumberings of a cell, each without what does not matter: order of branches, inputs of `none`."""
    orders = [renumbered(cell, order) for order in itertools.permutations(range(len(cell)))]
    return {
        tuple(tuple(sorted((op, source if op != "none" else 0) for op, source in block)) for block in order)
        for order in orders
        if order
    }


def genomes(space):
    """Genomes of the space; few operations, so that blocks and branches often agree. `none` where there is one."""
    last = len(space.operations) - 1
    ops = st.sampled_from([0, 3, last])
    is_op = {"micro": [1, 0, 1, 0] * 10, "darts": [1, 1, 0] * 8}[space.name]
    genes = [ops if op else st.integers(0, int(upper)) for op, upper in zip(is_op, space.upper, strict=True)]
    return st.tuples(*genes).map(np.int32)


@pytest.mark.parametrize("name", SPACES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_canonical_is_one_form_of_all_texts_of_a_network(name, data):
    space = spaces.get(name)
    genome = data.draw(genomes(space))
    cells = read(space, genome)
    other = write(space, [disguised(cell, data) for cell in cells])
    form = space.canonical(genome[None])
    assert (space.canonical(other[None]) == form).all()
    assert space.macs(form) == space.macs(genome[None]) == space.macs(other[None])
    assert space.params(form) == space.params(genome[None]) == space.params(other[None])
    for cell, canonical in zip(cells, read(space, form[0]), strict=True):
        assert as_networks(cell) == as_networks(canonical)


class Ledger:
    """Adds up a network that is walked through layer by layer, as a framework would build it."""

    def __init__(self):
        self.macs = self.params = 0

    def conv(self, shape, channels, kernel, stride=(1, 1), depthwise=False):
        height, width = (math.ceil(size / step) for size, step in zip(shape[:2], stride, strict=True))
        weights = math.prod(kernel) * channels * (1 if depthwise else shape[2])
        self.macs += height * width * weights
        self.params += weights
        return height, width, channels

    def norm(self, shape):
        self.params += 2 * shape[2]
        return shape

    def pointwise(self, shape, channels):
        return self.norm(self.conv(shape, channels, (1, 1)))

    def factorised(self, shape, channels):
        height, width, _ = self.conv(shape, channels // 2, (1, 1), (2, 2))
        self.conv(shape, channels // 2, (1, 1), (2, 2))
        return self.norm((height, width, channels))

    def operation(self, name, shape, stride):
        channels = shape[2]
        kind, *size = re.match(r"(\D+?)_?(\d)?x?(\d)?(?:_1x7)?$", name).groups()
        if kind in ("sep_conv", "dil_conv"):
            kernel = tuple(int(length) for length in size)
            for step in [stride, 1] if kind == "sep_conv" else [stride]:
                shape = self.pointwise(self.conv(shape, channels, kernel, (step, step), depthwise=True), channels)
        elif kind == "conv":
            self.norm(self.conv(self.conv(shape, channels, (1, 7), (1, stride)), channels, (7, 1), (stride, 1)))
        elif kind == "skip_connect" and stride == 2:
            self.factorised(shape, channels)


def walk(space, genome):
    """Macs and params of one genome, counted convolution by convolution."""
    ledger, channels = Ledger(), space.channels
    older = last = ledger.norm(ledger.conv(space.input_shape, 3 * channels, (3, 3)))
    for layer in range(space.layers):
        reduction = layer in (space.layers // 3, 2 * space.layers // 3)
        channels *= 1 + reduction
        cell = read(space, genome)[reduction]
        if older[0] > last[0]:
            ledger.factorised(older, channels)
        else:
            ledger.pointwise(older, channels)
        inner = ledger.pointwise(last, channels)
        half = (inner[0] // 2, inner[1] // 2, channels) if reduction else inner
        for name, source in itertools.chain(*cell):
            ledger.operation(name, inner if source < 2 else half, 2 if reduction and source < 2 else 1)
        unread = set(range(len(cell))) - {source - 2 for block in cell for _, source in block}
        concatenated = len(unread) if space.name == "micro" else len(cell)
        older, last = last, (*half[:2], concatenated * channels)
    ledger.macs += last[2] * space.classes
    ledger.params += (last[2] + 1) * space.classes
    return ledger.macs, ledger.params


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(("layers", "shape"), [(3, (32, 32, 3)), (4, (4, 12, 1)), (5, (16, 8, 3)), (8, (28, 28, 1))])
def test_complexity_equals_a_walk_through_the_network(name, layers, shape):
    space = spaces.get(name, channels=7, layers=layers, input_shape=shape, classes=3)
    population = np.asarray(space.sample(jax.random.key(layers), 30))
    macs, params = zip(*(walk(space, genome) for genome in population), strict=True)
    assert space.macs(population).tolist() == list(macs)
    assert space.params(population).tolist() == list(params)


@pytest.mark.parametrize("name", SPACES)
def test_macs_count_beyond_int32(name):
    space = spaces.get(name, channels=36, layers=20, input_shape=(224, 224, 3))
    genome = np.asarray(space.sample(jax.random.key(0), 1))
    assert space.macs(genome)[0] == walk(space, genome[0])[0] > 2**31


@pytest.mark.parametrize("name", SPACES)
def test_layout_reduces_twice(name):
    space = spaces.get(name, channels=8, layers=8, input_shape=(32, 16, 3))
    assert space.layout == (
        *[Cell(False, 32, 16, 8)] * 2,
        Cell(True, 16, 8, 16),
        *[Cell(False, 16, 8, 16)] * 2,
        Cell(True, 8, 4, 32),
        *[Cell(False, 8, 4, 32)] * 2,
    )


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layers": 2}, "layers is 2"),
        ({"input_shape": (30, 32, 3)}, "30 x 32 pixels.*--image-size a multiple of 4"),
        ({"input_shape": (32, 15, 3)}, "32 x 15 pixels.*--image-size a multiple of 4"),
    ],
)
def test_two_reductions_are_asked_for(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        spaces.get(name, **options)
