"""The compiled pass against PyTorch, one network at a time, with the same kernels and the same calibration images."""

import functools

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.evaluate.ridge import ridge_scores
from rwejax.evaluate.rwe import RandomWeightEvaluator

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra bench: pip install 'rwejax[bench]'")

from benchmarks import torch_peer  # noqa: E402

TRAIN, VALIDATION, CALIBRATION = 100, 50, 64


@pytest.fixture(scope="module", params=[(4, 4), (6, 16)], ids=["K=4, C=4", "K=6, C=16"])
def compared(request):
    """The features of some genomes, and the networks in PyTorch that should give the same."""
    nodes, channels = request.param
    dataset = data.load("digits", train=TRAIN, validation=VALIDATION)
    space = spaces.Macro(nodes, channels, dataset.image_shape, dataset.classes)
    empty, chain, full = np.zeros(space.bits), np.zeros(space.bits), np.ones(space.bits)
    reader, read = np.tril_indices(nodes, -1)
    chain[:-1] = reader == read + 1
    skip_alone = np.append(empty[:-1], 1)
    special = [
        np.concatenate(phases)
        for phases in (
            (chain, empty, full),
            (empty, full, chain),
            (chain, chain, chain),
            (full, full, full),
            (empty, skip_alone, empty),
        )
    ]
    genomes = np.concatenate([special, space.sample(jax.random.key(1), 3)]).astype(np.int32)
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION)
    key = jax.random.key(2)
    initialise = jax.jit(functools.partial(networks.initialise, networks.network(space)))
    kernels = initialise(jax.random.split(key, evaluator.seeds)[0])
    members = [torch_peer.MacroNetwork(space, genome, kernels) for genome in genomes]
    images = torch_peer.as_channels_last(np.concatenate([dataset.train_images, dataset.validation_images]))
    for network in members:
        network.calibrate(images[:CALIBRATION])
    return dataset, evaluator.features(key, genomes), members, images


def test_features_agree_with_pytorch(compared):
    _, ours, members, images = compared

    theirs = [torch_peer.features(network, images, batch=64) for network in members]

    np.testing.assert_allclose(ours, torch.stack(theirs), rtol=0, atol=1e-4)


def test_folding_the_normalisation_changes_rounding_only(compared):
    _, ours, members, images = compared

    folded = [torch_peer.features(network.fused(), images, batch=150) for network in members]

    np.testing.assert_allclose(ours, torch.stack(folded), rtol=0, atol=1e-4)


def test_scores_agree_with_pytorch(compared):
    dataset, features, _, _ = compared
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    score = jax.jit(functools.partial(ridge_scores, classes=dataset.classes, train=TRAIN))

    for x in features:
        theirs = torch_peer.ridge_scores(torch.from_numpy(x), torch.from_numpy(labels).long(), dataset.classes, TRAIN)
        ours = score(x, labels)._asdict()
        for name, expected in theirs.items():
            one_image = 100 / {"loo_error": len(labels), "validation_error": VALIDATION}.get(name, np.inf)
            np.testing.assert_allclose(ours[name], expected, rtol=1e-3, atol=1.01 * one_image, err_msg=name)
