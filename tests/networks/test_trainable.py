import functools

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from tests.networks.references import REFERENCES
from tests.networks.trained import with_kernels
from tests.registered import compiled

IMAGES = 16
OPTIONS = {
    "macro": {"nodes": 4},
    "micro": {"layers": 3},
    "darts": {"layers": 3},
    "nasbench201": {"cells": 1},
    "nasbench_macro": {},
}
KEY = jax.random.key(5)
WIRED = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
DARTS_V2 = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    normal_concat=range(2, 6),
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
    reduce_concat=range(2, 6))"""


def count(module, shape):
    shapes = jax.eval_shape(module.init, KEY, np.zeros((1, *shape), np.float32))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.slow
def test_darts_v2_has_the_published_number_of_parameters():
    """3,349,342 without its auxiliary head: Liu et al., "DARTS", ICLR 2019, print 3.3 million.

    That head is a 1x1 convolution of 4 x 144 channels to 128, a 2x2 one to 768, their norms, and a linear layer.
    """
    space = spaces.get("darts", channels=36, layers=20)
    params = jax.eval_shape(
        functools.partial(networks.build(space, darts_v2(space), auxiliary=True).init, train=True),
        KEY,
        np.zeros((2, 32, 32, 3), np.float32),
    )["params"]
    auxiliary = sum(leaf.size for leaf in jax.tree.leaves(params.pop("auxiliary")))
    assert auxiliary == 4 * 144 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 769 * 10
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 3349342


def test_darts_v2_has_the_published_number_of_parameters_in_the_mobile_setting():
    """4.7 million: Liu et al., table 3, whose 574 million multiply-adds are counted in another way."""
    space = spaces.get("darts", channels=48, layers=14, input_shape=(224, 224, 3), classes=1000, stem="imagenet")
    genome = darts_v2(space)
    assert count(networks.build(space, genome), space.input_shape) == space.params(genome[None])[0] == 4718752
    assert space.macs(genome[None])[0] == 529911552


@pytest.mark.parametrize(
    ("name", "options"),
    [("macro", {}), *((name, {"layers": layers}) for name in ("micro", "darts") for layers in (3, 5))],
)
def test_parameters_are_as_many_with_the_stem_of_imagenet(name, options):
    space = spaces.get(name, channels=4, **options, input_shape=(64, 64, 3), stem="imagenet")
    genome = np.asarray(space.sample(KEY, 1))
    assert count(networks.build(space, genome[0]), space.input_shape) == space.params(genome)[0]


@pytest.mark.slow
def test_the_auxiliary_head_reads_the_last_reduction():
    space = spaces.get("darts", channels=2, layers=4, input_shape=(16, 16, 3))
    module = networks.build(space, darts_v2(space), auxiliary=True)
    generator = np.random.default_rng(0)
    images = generator.normal(size=(4, 16, 16, 3)).astype(np.float32)
    shapes = jax.eval_shape(functools.partial(module.init, train=True), KEY, images)
    variables = {
        name: jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes[name])
        for name in ("params", "batch_stats")
    }
    forward = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))

    def outputs(name):
        """Of the network without one of its operations."""
        params = {**variables["params"], name: jax.tree.map(np.zeros_like, variables["params"][name])}
        return forward({"params": params, "batch_stats": variables["batch_stats"]}, images)[0]

    weighted = [row.name for row in module.rows if row.name in variables["params"]]
    entry = next(name for name in weighted if name.startswith("stage2_reduce3"))
    last = next(name for name in reversed(weighted) if name.startswith("stage3"))
    logits, auxiliary = forward(variables, images)[0]
    for name, changes in ((entry, True), (last, False)):
        found, other = outputs(name)
        assert not np.allclose(found, logits, atol=1e-3)
        assert np.allclose(other, auxiliary, atol=1e-3) == (not changes)


def test_drop_path_leaves_images_out_and_keeps_the_mean():
    space = spaces.get("darts", channels=2, layers=3, input_shape=(4, 4, 3))
    module = networks.build(space, darts_v2(space), classes=0)
    x = jax.random.uniform(KEY, (4000, 2, 2, 1), minval=1)
    found = module.apply({}, x, 0.3, method="_leave_out", rngs={"drop_path": KEY})
    stays = (found != 0).any((1, 2, 3))
    np.testing.assert_allclose(found[stays], x[stays] / 0.7, rtol=1e-6)
    assert not found[~stays].any()
    assert abs(stays.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / len(x))


def darts_v2(space):
    return space.from_string(" ".join(DARTS_V2.split()).replace("Genotype( ", "Genotype("))


@pytest.mark.parametrize("name", [*compiled(OPTIONS), "macro with the stem of imagenet"])
def test_features_are_those_of_the_network_written_down_plainly(name):
    """By the statistics of one batch, with the kernels of the executor's slots, scale 1 and bias 0."""
    images = data.load("digits", train=IMAGES, validation=10).train_images
    name, _, stem = name.partition(" with ")
    options = OPTIONS[name]
    if stem:
        images, options = np.random.default_rng(0).normal(size=(IMAGES, 64, 64, 3)), options | {"stem": "imagenet"}
    space = spaces.get(name, channels=4, input_shape=images.shape[1:], **options)
    sampled = np.asarray(space.canonical(space.sample(KEY, 1)))
    genome = space.from_string(WIRED) if name == "nasbench201" else sampled[0]
    network = networks.network(space)
    shapes = jax.eval_shape(lambda: networks.initialise(network, KEY))
    generator = np.random.default_rng(0)
    kernels = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)
    module = networks.build(space, genome, classes=0)
    variables = jax.eval_shape(module.init, KEY, images)
    params = with_kernels(variables["params"], module, networks.lower(space, network, genome[None], 1)[0], kernels)
    statistics = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables["batch_stats"])

    found, moved = jax.jit(
        lambda images: module.apply(
            {"params": params, "batch_stats": statistics}, images, train=True, mutable=["batch_stats"]
        )
    )(images)

    expected = REFERENCES[name].features(space, genome, kernels, images, IMAGES)
    expected = expected[:, np.abs(expected).max(0) > 0]  # of the micro space, without the blocks that are not there
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-4)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(moved))


def test_a_dead_network_is_refused():
    space = spaces.get("nasbench201")
    with pytest.raises(InputError, match="has no path from the image"):
        networks.build(space, space.lower)
