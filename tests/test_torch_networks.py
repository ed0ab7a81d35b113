"""The networks in PyTorch, but for macro's, against the same networks written down plainly."""

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from tests.networks.genomes import population
from tests.networks.references import REFERENCES
from tests.registered import compiled

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra bench: pip install 'rwejax[bench]'")

from benchmarks.parts import torch_networks, torch_peer  # noqa: E402

IMAGES, CALIBRATION = 12, 8  # so few that a pixel's std may be small, which enlarges rounding
OPTIONS = {"micro": {"layers": 7}, "darts": {"layers": 7}, "nasbench201": {"cells": 2}, "nasbench_macro": {}}


@pytest.mark.parametrize("name", compiled(OPTIONS))
def test_features_equal_the_plain_reference(name):
    images = data.load("digits", train=IMAGES, validation=10).train_images
    space = spaces.get(name, channels=3, input_shape=images.shape[1:], **OPTIONS[name])
    # Compiling the true draw takes longer than all the rest, and every layer is normalised anyway.
    shapes = jax.eval_shape(lambda: networks.initialise(networks.network(space), jax.random.key(0)))
    generator = np.random.default_rng(0)
    kernels = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)
    tensor = torch_peer.as_channels_last(images)

    torch.set_num_threads(1)  # another process has the other core
    for genome in np.asarray(space.canonical(population(space, n=1))):
        network = torch_networks.build(space, genome, kernels)
        network.calibrate(tensor[:CALIBRATION])
        expected = REFERENCES[name].features(space, genome, kernels, images, CALIBRATION)
        for form in (network, network.fused()):
            found = torch_peer.features(form, tensor, batch=5)
            np.testing.assert_allclose(found, expected, rtol=0, atol=5e-4, err_msg=space.to_string(genome))
