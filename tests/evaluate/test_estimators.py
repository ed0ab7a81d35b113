import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.networks import cells, nasbench201
from rwejax.networks.builder import Builder
from rwejax.networks.modules import Stem, Sum, convolution
from rwejax.networks.program import Group, Kind
from tests.evaluate import plain_nasbench201 as plain
from tests.registered import slow

IMAGES = 20
KEY = jax.random.key(3)
TEXTS = (
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|skip_connect~2|",
)
SINGLE = [name for name in estimators.names() if "images" in estimators.options_of(name)]
PER_NETWORK = [name for name in SINGLE if name not in estimators.FORWARD]


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=60, validation=30, image_size=8)


@pytest.fixture(scope="module")
def space(dataset):
    return spaces.get("nasbench201", cells=1, channels=4, input_shape=dataset.image_shape)


@pytest.fixture(scope="module")
def genomes(space):
    return space.canonical(np.stack([space.from_string(text) for text in TEXTS]))


@pytest.fixture(scope="module")
def expected(space, dataset, genomes):
    """The scores of the plain networks, with the weights that the estimators draw."""
    key_kernels, key_head, _ = jax.random.split(jax.random.split(KEY, 1)[0], 3)
    kernels = networks.initialise(networks.network(space), key_kernels)
    head = jax.random.normal(key_head, (16, 10)) / 4
    images, labels = jnp.asarray(dataset.train_images[:IMAGES]), dataset.train_labels[:IMAGES]

    @functools.cache
    def call(function):
        return [function(genome, plain.weights(kernels, genome) | {"head": head}, images, labels) for genome in genomes]

    return lambda name: call(plain.grasp) if name == "grasp" else [scores[name] for scores in call(plain.scores)]


@pytest.fixture(scope="module")
def measured(space, dataset, genomes):
    """For each name the estimator and its scores of two networks, a dead one, and the first again."""
    population = np.concatenate([genomes, space.lower[None], genomes[:1]])

    @functools.cache
    def measure(name):
        estimate = estimators.get(name, space, dataset, **({"images": IMAGES} if name in SINGLE else {}))
        return estimate, population, estimate(KEY, population)

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("name", PER_NETWORK)
def test_lowers_for_accelerators(space, dataset, genomes, name):
    estimate = estimators.get(name, space, dataset, images=IMAGES)
    run, found = estimate._run, []

    def lower(key, *arguments):
        def step(words, *arguments):
            return run(jax.random.wrap_key_data(words), *arguments)

        found.append(jax.export.export(jax.jit(step), platforms=("cuda", "tpu"))(jax.random.key_data(key), *arguments))
        return jnp.zeros(len(genomes))

    estimate._run = lower
    estimate(KEY, genomes)
    (exported,) = found
    assert exported.platforms == ("cuda", "tpu")
    assert exported.out_avals[0].shape == (len(genomes),)


@pytest.mark.parametrize("name", slow(plain.SCORES, {*PER_NETWORK} - {"jacob_cov"}))
def test_a_score_is_that_of_the_plain_network(measured, expected, name):
    _, _, found = measured(name)
    np.testing.assert_allclose(found[:2], expected(name), rtol=2e-3)
    assert found[0] != found[1]


@pytest.mark.parametrize("name", slow(estimators.names(), {"short_training", *PER_NETWORK} - {"jacob_cov"}))
def test_every_estimator_scores_whole_populations(measured, name):
    """Determinism by key, equal scores of equal networks whatever is beside them, and a dead network comes last."""
    estimate, population, found = measured(name)
    assert found.shape == (4,)
    assert found[0] == found[3]
    assert found[2] < min(found[:2])
    np.testing.assert_allclose(estimate(KEY, population[1::-1]), found[1::-1], rtol=1e-5)
    if name not in ("macs", "params"):
        assert (estimate(jax.random.key(9), population)[:2] != found[:2]).any()


def space_and_program(name, dataset):
    space = spaces.get(name, channels=2, input_shape=dataset.image_shape)
    network = networks.network(space)
    return network, networks.lower(space, network, np.asarray(space.sample(jax.random.key(5), 1)), 1)[0]


def every_operation_of_cells(dataset):
    """A network that no space has: all operations in a row, a sum, and a projection of two sources."""
    height, width, _ = dataset.image_shape
    kinds = [(name, Kind(cells.operation(name, 2, 1))) for name in spaces.Micro.operations]
    kinds += [("sum", Kind(Sum())), ("project", Kind(cells.Project(2)))]
    groups = (
        Group("stem", (("stem", Kind(Stem(2))),), 1, 1, "images", "maps"),
        Group("maps", tuple(kinds), len(kinds), 2, "maps", "maps"),
        Group("shrink", (("shrink", Kind(cells.Project(4, 2))),), 1, 2, "maps", "small"),
        Group("output", (("output", Kind(cells.Output(1))),), 1, 2, "small", "features"),
    )
    maps = {"maps": (height, width, 2), "small": (height // 2, width // 2, 4)}
    network = networks.Network(groups, {"images": dataset.image_shape, **maps, "features": (8,)})
    builder = Builder(network, 1)
    first = x = builder.add("stem", "stem", 0, np.zeros(1, int))
    for name in spaces.Micro.operations:
        x = builder.add("maps", name, 0, x)
    x = builder.add("maps", "project", 0, builder.add_sum("maps", x, first), x)
    builder.add("output", "output", 0, builder.add("shrink", "shrink", 0, x, first))
    return network, builder.build()


class Product(nn.Module):
    """Two sources, multiplied: an operation that reads several and does not add them up."""

    @nn.compact
    def __call__(self, sources, norm):
        return sources[0] * convolution(2, 3)(sources[1])


def product_of_sources(dataset):
    """A group whose kinds read a single source, several that they add up, and several that they do not."""
    height, width, _ = dataset.image_shape
    kinds = (("product", Kind(Product())), ("sum", Kind(Sum())), ("relu", Kind(nasbench201.Convolution(2, 1))))
    groups = (
        Group("stem", (("stem", Kind(Stem(2))),), 1, 1, "images", "maps"),
        Group("maps", kinds, 3, 2, "maps", "maps"),
        Group("output", (("output", Kind(cells.Output(1))),), 1, 2, "maps", "features"),
    )
    network = networks.Network(groups, {"images": dataset.image_shape, "maps": (height, width, 2), "features": (4,)})
    builder = Builder(network, 1)
    stem = builder.add("stem", "stem", 0, np.zeros(1, int))
    activated = builder.add("maps", "relu", 0, stem)
    product = builder.add("maps", "product", 0, activated, stem)
    total = builder.add("maps", "sum", 0, product, stem)
    builder.add("output", "output", 0, total, product)
    return network, builder.build()


MADE = {"every operation of cells": every_operation_of_cells, "a product of sources": product_of_sources}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["macro", "nasbench_macro", *MADE])
def test_gradients_are_differences(dataset, name):
    """In double precision, along a random direction in the weights and the images."""
    network, program = MADE[name](dataset) if name in MADE else space_and_program(name, dataset)
    single = networks.PerNetwork(network)
    with jax.enable_x64(True):
        program = jax.tree.map(jnp.asarray, program)
        # Flat parts of real images make ties under a max pool, where there is no gradient.
        images, way = jax.random.normal(jax.random.key(6), (2, 8, *dataset.image_shape), jnp.float64)

        @jax.jit
        def widen(key):
            weights = single.weights(program, networks.initialise(network, key))
            return jax.tree.map(lambda table: table.astype(jnp.float64), weights)

        point, along = (widen(KEY), images), (widen(jax.random.key(4)), way)

        def on_one_device(function):
            return jax.jit(jax.vmap(function, axis_name=networks.IMAGES_AXIS, in_axes=None, axis_size=1))

        @on_one_device
        def loss(point, along, step):
            point = jax.tree.map(lambda x, v: x + step * v, point, along)
            return jnp.square(single.forward(program, *point)[0]["features"]).sum()

        @on_one_device
        def slope(point, along):
            passed = single.forward(program, *point)
            found = single.backward(program, point[0], passed, 2 * passed.buffers["features"][0])[:2]
            return sum((g * v).sum() for g, v in zip(*map(jax.tree.leaves, (found, along)), strict=True))

        step = 1e-6
        after, before = (loss(point, along, s) for s in (step, -step))
        expected = (after - before) / (2 * step)
        assert abs(expected[0]) > 1e-3
        np.testing.assert_allclose(slope(point, along), expected, rtol=1e-4)


def test_weights_of_a_program_are_its_kernels(space, genomes):
    network = networks.network(space)
    program, _ = networks.lower(space, network, genomes[:1], 1)
    kernels = networks.initialise(network, KEY)
    table = networks.PerNetwork(network).weights(program, kernels)["stage2"]
    used = plain.weights(kernels, genomes[0])
    edges = [kernel for name, kernel in used.items() if name.startswith("2 edge")]
    assert len(edges) >= 2
    flat = [np.asarray(row) for row in table]
    for kernel in edges:
        assert any(np.array_equal(row[: kernel.size], kernel.ravel()) for row in flat)


def test_bad_names_and_sizes_are_one_sentence(space, dataset):
    with pytest.raises(InputError, match="estimator 'nwott' is unknown: choose one of rwe"):
        estimators.get("nwott", space, dataset)
    with pytest.raises(InputError, match="estimator 'nwot' has no option 'pool': it takes seeds, images"):
        estimators.get("nwot", space, dataset, pool=2)
    with pytest.raises(InputError, match="estimator 'macs' has no option 'seeds': it takes none"):
        estimators.get("macs", space, dataset, seeds=2)
    with pytest.raises(InputError, match="images is 61 and the dataset has 60 train images"):
        estimators.get("nwot", space, dataset, images=61)
