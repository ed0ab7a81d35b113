import functools
import math

import jax
import numpy as np
import pytest

from rwejax import networks, spaces
from rwejax.evaluate import costs
from rwejax.networks.genome_rows import IMAGE, genome_rows
from tests.registered import every_compiled_space

NODES_AND_LAYERS = {"macro": {"nodes": 3}, "micro": {"layers": 3}, "darts": {"layers": 3}, "nasbench201": {"cells": 1}}


def memory(space, text):
    return costs.get("memory", space)(space.canonical(space.from_string(text)[None])).tolist()


def test_macro_by_hand():
    """Images of 8 x 8 x 1; the maps of the phases have 6 x 6 x 2, 3 x 3 x 4 and 1 x 1 x 8 numbers of 4 bytes."""
    space = spaces.get("macro", nodes=2, channels=2, input_shape=(8, 8, 1))
    image, entry = 4 * 8 * 8, 4 * 6 * 6 * 2
    # Without nodes the image and the first map; normalisation, ReLU and pool of a single source are one loop.
    assert memory(space, "000000") == [image + entry]
    # Output of the first phase: entry and second node, their concatenation, and its product with the mix.
    concatenation = 2 * entry
    assert memory(space, "110000") == [2 * entry + concatenation + entry]
    # Without the skip: two maps at most, where the second node reads the first.
    assert memory(space, "100000") == [2 * entry]


def test_nasbench201_by_hand():
    """Images of 8 x 8 x 3, a first stage of 8 x 8 x 2 numbers of 4 bytes, one cell a stage."""
    space = spaces.get("nasbench201", channels=2, cells=1, input_shape=(8, 8, 3))
    image, node = 4 * 8 * 8 * 3, 4 * 8 * 8 * 2
    # Node 3 reads node 0, a pool of node 1, a convolution of node 2: when that runs, node 0, node 2 and the pool are
    # there, and beside them what the ReLU makes for the convolution, which needs node 2 no more, and its result.
    wired = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    assert memory(space, wired) == [3 * node + 2 * node]
    # The residual block: its source, the shortcut (half a map), the ReLU for the first convolution, and its result.
    straight = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    assert memory(space, straight) == [node + node // 2 + node + node // 2]
    assert memory(space, straight.replace("skip_connect~0", "none~0")) == [image]


def test_nasbench_macro_by_hand():
    """Images of 32 x 32 x 3, 8 channels at first: what is wide are the insides of the bottlenecks."""
    space = spaces.get("nasbench_macro", channels=8, input_shape=(32, 32, 3))
    stem, wide, halved = (4 * pixels * channels for pixels, channels in ((32**2, 8), (32**2, 48), (16**2, 48)))
    assert memory(space, "20000000") == [stem + wide + halved]
    assert memory(space, "10000000") == [stem + wide // 2 + halved // 2]
    # The second layer is residual and keeps its 16 x 16 x 16.
    source, wide = 4 * 16**2 * 16, 4 * 16**2 * 96
    assert memory(space, "02000000") == [source + 2 * wide]
    # With identities alone the 1,280 channels of the head, from 64 channels of 4 x 4, and their means.
    assert memory(space, "00000000") == [4 * (4 * 4 * 64 + 4 * 4 * 1280 + 1280)]


def test_darts_by_hand():
    """Images of 8 x 8 x 3; the stem has 6 channels, the first cell 2, four blocks come out of it."""
    space = spaces.get("darts", channels=2, layers=3, input_shape=(8, 8, 3))
    cell = "[" + ", ".join(4 * ["('skip_connect', 0), ('skip_connect', 1)"]) + "]"
    text = f"Genotype(normal={cell}, normal_concat=range(2, 6), reduce={cell}, reduce_concat=range(2, 6))"
    stem, block, wide = (4 * 8 * 8 * channels for channels in (6, 2, 4))
    # The stem and four equal sums are there when the reduction cell's first projection makes a ReLU of the stem, and
    # its product, of 4 channels.
    assert memory(space, text) == [stem + 4 * block + stem + wide]


def rows_of(space, genomes):
    """For each genome its rows: group and kind, bytes of the map, bytes of each source."""
    network = networks.network(space)
    program, features = networks.lower(space, network, genomes, len(genomes))
    distinct, numbers = genome_rows(network, program, features)
    size = {name: 4 * math.prod(shape) for name, shape in network.buffers.items()}
    found = []
    for each in numbers:
        rows = [distinct[number] for number in each]
        groups = [network.groups[row.group] for row in rows]
        found.append(
            [
                (f"{group.name}/{group.kinds[row.kind][0]}", size[group.target], size[group.source])
                for row, group in zip(rows, groups, strict=True)
            ]
        )
        assert all(
            source == IMAGE or source < number for row, number in zip(rows, each, strict=True) for source in row.sources
        )
    return found


@functools.cache
def population(name, size):
    space = spaces.get(name, channels=4, input_shape=(size, size, 3), **NODES_AND_LAYERS.get(name, {}))
    genomes = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(2), 20))))
    return space, genomes, costs.get("memory", space)(genomes)


@pytest.mark.parametrize("name", spaces.names())
def test_at_least_the_largest_map_and_what_it_is_made_of(name):
    space, genomes, found = population(name, 16)
    for rows, value in zip(rows_of(space, genomes), found, strict=True):
        assert value >= max((written + read for _, written, read in rows), default=0)


@every_compiled_space
def test_larger_images_need_more(name):
    found = [population(name, size)[2] for size in (16, 24, 32)]
    assert (np.diff(found, axis=0) > 0).all()
