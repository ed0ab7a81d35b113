import jax
import numpy as np
import optax
import pytest

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from tests.networks.references import REFERENCES

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


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_are_as_many_as_the_space_says(name):
    space = spaces.get(name, channels=4, **OPTIONS[name])
    for genome in np.asarray(space.sample(KEY, 30 if name == "nasbench201" else 3)):
        if name == "nasbench201" and not genome.all():  # what reads a node without inputs is left out
            continue
        assert count(networks.build(space, genome), space.input_shape) == space.params(genome[None])[0]


def test_darts_v2_has_the_published_number_of_parameters():
    """3,349,342 without its auxiliary head: Liu et al., "DARTS", ICLR 2019, print 3.3 million."""
    space = spaces.get("darts", channels=36, layers=20)
    genome = space.from_string(" ".join(DARTS_V2.split()).replace("Genotype( ", "Genotype("))
    assert count(networks.build(space, genome), space.input_shape) == 3349342


@pytest.mark.parametrize("name", OPTIONS)
def test_features_are_those_of_the_network_written_down_plainly(name):
    """By the statistics of one batch, with the kernels of the executor's slots, scale 1 and bias 0."""
    images = data.load("digits", train=IMAGES, validation=10).train_images
    space = spaces.get(name, channels=4, input_shape=images.shape[1:], **OPTIONS[name])
    sampled = np.asarray(space.canonical(space.sample(KEY, 1)))
    genome = space.from_string(WIRED) if name == "nasbench201" else sampled[0]
    network = networks.network(space)
    shapes = jax.eval_shape(lambda: networks.initialise(network, KEY))
    generator = np.random.default_rng(0)
    kernels = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)
    module = networks.build(space, genome, classes=0)
    variables = jax.eval_shape(module.init, KEY, images)
    params = with_kernels(variables["params"], module, networks.lower(space, network, genome[None], 1, 1)[0], kernels)
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


def with_kernels(shapes, module, program, kernels):
    """Parameters of a network: its slots' kernels, and scale 1 and bias 0."""
    rows = {row.name: row for row in module.rows}

    def take(path, leaf):
        name, *layers = (each.key for each in path)
        if layers[-1] in ("scale", "bias"):
            return np.full(leaf.shape, layers[-1] == "scale", np.float32)
        group = module.network.groups[rows[name].group]
        table = program.rows[group.name]
        chunk = int(name.removeprefix(f"{group.name}_").split("_")[0])
        found = kernels[group.name][group.kinds[rows[name].kind][0]]
        for layer in layers:
            found = found[layer]
        found = found[int(table.slot[chunk])]
        # Of a slot's possible inputs, those that the row has.
        return found[table.blocks[int(table.begin[chunk]), : len(leaf)]] if "blocks" in layers[-1] else found

    return jax.tree.map_with_path(take, shapes)


def test_a_dead_network_is_refused():
    space = spaces.get("nasbench201")
    with pytest.raises(InputError, match="has no path from the image"):
        networks.build(space, space.lower)


def test_one_step_of_training_lowers_the_loss():
    images = data.load("digits", train=IMAGES, validation=10)
    space = spaces.get("macro", nodes=2, channels=4, input_shape=images.image_shape)
    module = networks.build(space, space.upper)
    variables = module.init(KEY, images.train_images)
    statistics = variables["batch_stats"]

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        logits, _ = module.apply(
            {"params": params, "batch_stats": statistics}, images.train_images, train=True, mutable=["batch_stats"]
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, images.train_labels).mean()

    before, gradients = loss(variables["params"])
    after, _ = loss(jax.tree.map(lambda x, g: x - 0.01 * g, variables["params"], gradients))
    assert after < before
