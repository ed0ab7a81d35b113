"""What the lowering of every registered space promises, a user's among them."""

import jax
import numpy as np

from rwejax import data, networks
from rwejax.evaluate import RandomWeightEvaluator
from tests.networks.trained import with_kernels
from tests.registered import alive, every_compiled_space, every_other_space, small

KEY = jax.random.key(5)
TRAIN, VALIDATION = 16, 10


@every_compiled_space
def test_parameters_are_as_many_as_the_space_says(name):
    space = small(name, (32, 32, 3))
    found = alive(space, 4)
    assert found
    for genome, module in found:
        shapes = jax.eval_shape(module.init, KEY, np.zeros((1, *space.input_shape), np.float32))
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == space.params(genome[None])[0]


@every_other_space
def test_the_trained_network_computes_what_is_searched(name):
    """The executor's features of a genome, against its network with the same kernels in training, as Flax runs it."""
    dataset = data.load("digits", train=TRAIN, validation=VALIDATION, image_size=16)
    space = small(name, dataset.image_shape)
    genome, _ = alive(space, 8)[0]
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=TRAIN)
    searched = evaluator.features(KEY, genome[None])[0]

    kernels = evaluator.forward.kernels(KEY)
    network = networks.network(space)
    module = networks.build(space, genome, classes=0)
    images = dataset.train_images
    shapes = jax.eval_shape(module.init, KEY, images)
    program, _ = networks.lower(space, network, genome[None], 1)
    variables = {
        "params": with_kernels(shapes["params"], module, program, kernels),
        "batch_stats": jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes["batch_stats"]),
    }
    trained, _ = jax.jit(lambda images: module.apply(variables, images, train=True, mutable=["batch_stats"]))(images)

    searched = searched[:TRAIN, np.abs(searched).max(0) > 0]  # without blocks that are not there
    assert searched.size
    np.testing.assert_allclose(trained, searched, rtol=0, atol=5e-4)
