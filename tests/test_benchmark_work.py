"""What the benchmarks count as work, against what the spaces say that a network costs."""

import jax
import numpy as np
import pytest

from benchmarks.parts.work import convolution_macs, count_work
from rwejax import data, networks, spaces
from rwejax.evaluate import RandomWeightEvaluator

SIZES = {"macro": {"nodes": 4, "channels": 4}, "micro": {"layers": 7, "channels": 4}}


@pytest.fixture(scope="module", params=SIZES)
def space(request):
    return spaces.get(request.param, input_shape=(16, 16, 1), **SIZES[request.param])


def test_a_networks_rows_cost_its_multiply_adds_but_those_of_the_head(space):
    network = networks.network(space)
    genomes = np.asarray(space.sample(jax.random.key(0), 20))
    for genome in genomes:
        program, _ = networks.lower(space, network, genome[None], 1)
        blocks = int(program.rows["output"].fan_in[0]) if space.name == "micro" else 1
        head = 4 * space.channels * blocks * space.classes
        assert convolution_macs(space, program) == space.macs(genome[None])[0] - head


def test_what_genomes_have_in_common_counts_once_in_a_program(space):
    dataset = data.load("digits", train=60, validation=20)
    genomes = np.asarray(space.sample(jax.random.key(0), 6))
    genomes = np.concatenate([genomes, genomes])

    def counted(size):
        work = count_work(RandomWeightEvaluator(space, dataset, genomes_per_program=size), genomes)
        rows = [sum(group[name] for group in work["rows"].values()) for name in ("distinct", "without_sharing")]
        macs = work["convolution_macs_per_image"]
        return work["programs"], *rows, macs["distinct"], macs["without_sharing"]

    programs, rows, rows_alone, macs, macs_alone = counted(12)
    assert programs == 1
    assert rows < rows_alone / 2
    assert macs < macs_alone / 2
    more, *apart = counted(2)
    assert more >= 3
    assert apart[0] > rows
    assert apart[1] == rows_alone
    assert apart[2] > macs
    assert apart[3] == macs_alone
