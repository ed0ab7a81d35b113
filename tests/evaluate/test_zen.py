"""Zen-score against the same written down plainly."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.evaluate import estimators
from tests.evaluate import plain_nasbench201 as plain

IMAGES = 12
KEY = jax.random.key(5)
TEXTS = (
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|skip_connect~2|",
)


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=IMAGES, validation=10, image_size=8)


def plainly(genome, kernels, images, change):
    """What is measured, from the inputs of the plain network's last ReLU and of its normalisations."""
    network = plain.Plain(genome)
    params = plain.weights(kernels, genome) | {"head": jnp.zeros((16, 10))}

    def run(images):
        network(params, images)
        return np.maximum(np.asarray(network.relus[-1]), 0), [np.asarray(x, float) for x in network.norms]

    (before, norms), (after, _) = run(images), run(images + 0.01 * change)
    assert before.shape == (IMAGES, 2, 2, 16)  # pooling to 2 x 2 leaves it as it is
    distance = np.mean([np.sqrt(((b - a) ** 2).sum()) for b, a in zip(before, after, strict=True)])
    deviations = [np.sqrt(np.mean([x[..., c].var() for c in range(x.shape[-1])])) for x in norms]
    return np.log(distance) + np.log(deviations).sum()


@pytest.mark.slow
def test_it_is_that_of_the_plain_network(dataset):
    space = spaces.get("nasbench201", cells=1, channels=4, input_shape=dataset.image_shape)
    genomes = space.canonical(np.stack([space.from_string(text) for text in TEXTS]))
    found = estimators.get("zen_score", space, dataset, images=IMAGES)(KEY, genomes)

    key_kernels, _, key_score = jax.random.split(jax.random.split(KEY, 1)[0], 3)
    kernels = networks.initialise(networks.network(space), key_kernels)
    shape = (IMAGES, *dataset.image_shape)
    images, change = (jax.random.normal(key, shape) for key in jax.random.split(key_score))
    expected = [plainly(genome, kernels, images, change) for genome in genomes]
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert abs(expected[0] - expected[1]) > 0.1


@pytest.mark.slow
def test_it_looks_at_no_image(dataset):
    space = spaces.get("macro", nodes=2, channels=2, input_shape=dataset.image_shape)
    genomes = space.sample(KEY, 4)
    others = copy.copy(dataset)
    object.__setattr__(others, "train_images", 1 - dataset.train_images)
    assert np.array_equal(*(estimators.get("zen_score", space, each)(KEY, genomes) for each in (dataset, others)))
