"""The figures of docs/design/multiply-adds.md; those of fvcore and thop were measured on the networks in PyTorch."""

import re
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from rwejax import networks, spaces
from rwejax.networks.modules import Normalise
from tests.spaces.test_darts import DARTS_V2

PAGE = (Path(__file__).parents[2] / "docs" / "design" / "multiply-adds.md").read_text()
WIRED = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
IMAGENET = {"channels": 48, "layers": 14, "input_shape": (224, 224, 3), "classes": 1000, "stem": "imagenet"}
# Values of other average pools, and values that an adaptive pool at the end reads and gives.
NETWORKS = [
    ("DARTS_V2, CIFAR-10", "darts", {}, DARTS_V2, 0, (8 * 8 * 576, 576)),
    ("DARTS_V2, ImageNet", "darts", IMAGENET, DARTS_V2, 768, (0, 0)),
    ("NAS-Bench-201", "nasbench201", {}, WIRED, 16 * 16 * 16 + 8 * 8 * 32, (8 * 8 * 64, 64)),
]


def row(begin):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {begin}"))
    return [int(each.replace(",", "")) for each in re.findall(r"\| ([\d,]+) (?=\|)", line)]


def normalised_values(space, genome):
    """For one image, of the plain network."""
    module, found = networks.build(space, genome), []

    def see(apply, args, kwargs, context):
        result = apply(*args, **kwargs)
        if isinstance(context.module, Normalise) and context.method_name == "__call__":
            found.append(int(np.prod(result.shape)))
        return result

    with nn.intercept_methods(see):
        jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, *space.input_shape), np.float32))
    return sum(found)


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "name", "options", "text", "pools", "last"), NETWORKS)
def test_what_the_counters_give(begin, name, options, text, pools, last):
    space = spaces.get(name, **options)
    genome = space.from_string(text)
    values = normalised_values(space, genome)
    assert f"{values:,}" in PAGE
    macs, params = int(space.macs(genome[None])[0]), int(space.params(genome[None])[0])
    assert row(begin) == [params, macs, macs + 2 * values + last[0], macs + 4 * values + sum(last) + pools]


@pytest.mark.slow
def test_a_sum_that_comes_to_the_published_figure():
    space = spaces.get("darts", **IMAGENET)
    genome = space.from_string(DARTS_V2)
    macs, values = int(space.macs(genome[None])[0]), normalised_values(space, genome)
    # From 56 to 28 pixels and 48 to 48 channels; from 28 to 14 and 192 to 96; from 14 to 7 and 384 to 192.
    reductions = 28**2 * 48 * 48 + 14**2 * 192 * 96 + 7**2 * 384 * 192
    assert row("ours ") == [macs]
    assert row("normalisations") == [4 * values]
    assert row("three factorised") == [3 * reductions] == [3 * 9_031_680]
    assert row("sum") == [macs + 4 * values + 3 * reductions] == [573_564_672]
    assert round((macs + 4 * values + 3 * reductions) / 1e6) == 574
