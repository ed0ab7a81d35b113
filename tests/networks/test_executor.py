import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.evaluate import RandomWeightEvaluator
from tests.networks.reference import features

CALIBRATION = 32


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=60, validation=20, image_size=10)


@pytest.fixture(scope="module")
def space(dataset):
    return spaces.get("macro", nodes=4, channels=6, input_shape=dataset.image_shape)


def evaluator(space, dataset, **options):
    options = {"calibration_images": CALIBRATION, "images_per_batch": 8, **options}
    return RandomWeightEvaluator(space, dataset, **options)


def population(space, n=10):
    """Random genomes, an empty network, a fully connected one, and a repeat."""
    sampled = np.asarray(space.sample(jax.random.key(3), n))
    return np.concatenate([sampled, space.lower[None], space.upper[None], sampled[:1]])


@pytest.fixture(scope="module")
def whole(space, dataset):
    """Features of the population in one program of one genome a slot, on two devices."""
    genomes = population(space)
    return genomes, evaluator(space, dataset).features(jax.random.key(7), genomes)


def test_features_equal_the_plain_reference(space, dataset, whole):
    genomes, found = whole
    kernels = evaluator(space, dataset).forward.kernels(jax.random.key(7))
    images = np.concatenate([dataset.train_images, dataset.validation_images])
    for genome, ours in zip(space.canonical(genomes), found, strict=True):
        np.testing.assert_allclose(ours, features(space, genome, kernels, images, CALIBRATION), atol=1e-4)


def test_chunks_of_genomes_change_no_bit(space, dataset, whole):
    genomes, found = whole
    for size in (2, 4):
        pieces = evaluator(space, dataset, genomes_per_program=size).features(jax.random.key(7), genomes)
        assert (pieces == found).all()


@pytest.mark.slow
def test_batches_of_images_and_devices_change_last_bits_only(space, dataset, whole):
    genomes, found = whole
    for options in ({"images_per_batch": 5}, {"images_per_batch": 48}, {"devices": jax.devices()[:1]}):
        other = evaluator(space, dataset, **options).features(jax.random.key(7), genomes)
        np.testing.assert_allclose(other, found, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3,), (4, 2)])
def test_rows_at_once_change_last_bits_only(space, dataset, whole, sizes):
    """The accelerator's way through the executor: several rows of a kind under vmap."""
    genomes, found = whole
    wide = evaluator(space, dataset)
    wide.forward.chunk_sizes = sizes
    np.testing.assert_allclose(wide.features(jax.random.key(7), genomes), found, atol=1e-5)


def test_an_images_feature_depends_on_that_image_alone(space, dataset, whole):
    genomes, found = whole
    swapped = dataclasses.replace(dataset, validation_images=dataset.validation_images[::-1])
    other = evaluator(space, swapped).features(jax.random.key(7), genomes)
    np.testing.assert_allclose(other[:, 60:], found[:, 60:][:, ::-1], atol=1e-5)
    assert (other[:, :CALIBRATION] == found[:, :CALIBRATION]).all()


def test_equal_rows_are_computed_once(space):
    network = networks.network(space)
    genomes = population(space)
    program, rows = networks.lower(space, network, genomes, len(genomes))
    assert rows[0] == rows[-1]
    assert int(program.features) == len(np.unique(rows)) < len(genomes)
    assert int(program.rows["entry1"].chunks) == 1
    active = space.wiring(genomes).inputs[:, 0].any(-1).sum()
    assert int(program.rows["nodes1"].chunks) < active


def test_too_many_rows_are_refused_and_split(space, dataset, whole):
    genomes, found = whole
    network = networks.network(space)
    with pytest.raises(networks.CapacityError):
        networks.lower(space, network, genomes, 4)
    narrow = evaluator(space, dataset, genomes_per_program=len(genomes)).forward
    narrow._prepare(len(genomes))
    narrow._buffer_sizes = networks.buffer_sizes(space, network, 2, (1,)) | {"features": len(genomes)}
    assert len(list(narrow.programs(np.asarray(space.canonical(genomes))))) > 1
    assert (narrow.features(jax.random.key(7), genomes) == found).all()


def test_kernels_are_he_normal(space, dataset):
    wide = spaces.get("macro", channels=32, input_shape=space.input_shape)
    nodes = evaluator(wide, dataset).forward.kernels(jax.random.key(0))["nodes3"]["node"]
    assert jnp.std(nodes["Convolution_0"]["kernel"]) == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.01)
    assert jnp.std(nodes["Mix_0"]["blocks"]) == pytest.approx(np.sqrt(2 / 128), rel=0.01)
    first, second = nodes["Convolution_0"]["kernel"][:2]
    assert not jnp.allclose(first, second)
