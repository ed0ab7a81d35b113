"""The compiled pass against PyTorch, one network at a time, with the same kernels and the same calibration images."""

import functools

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.evaluate.ridge import ridge_scores

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra bench: pip install 'rwejax[bench]'")

from benchmarks.parts import torch_networks, torch_peer  # noqa: E402

TRAIN, VALIDATION, CALIBRATION = 100, 50, 64


def macro_genomes(space):
    """Phases that are empty, a chain, fully connected, or a skip alone."""
    empty, chain, full = np.zeros(space.bits), np.zeros(space.bits), np.ones(space.bits)
    reader, read = np.tril_indices(space.nodes, -1)
    chain[:-1] = reader == read + 1
    skip_alone = np.append(empty[:-1], 1)
    return [
        np.concatenate(phases)
        for phases in (
            (chain, empty, full),
            (empty, full, chain),
            (chain, chain, chain),
            (full, full, full),
            (empty, skip_alone, empty),
        )
    ]


SIZES = {
    "macro, K=4, C=4": {"nodes": 4, "channels": 4},
    "macro, K=6, C=16": {"nodes": 6, "channels": 16},
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(sizes, id=name, marks=pytest.mark.slow if sizes["nodes"] > 4 else ())
        for name, sizes in SIZES.items()
    ],
)
def compared(request):
    """The features of some genomes, and the networks in PyTorch that should give the same."""
    dataset = data.load("digits", train=TRAIN, validation=VALIDATION)
    space = spaces.get("macro", input_shape=dataset.image_shape, **request.param)
    genomes = np.concatenate([macro_genomes(space), space.sample(jax.random.key(1), 3)]).astype(np.int32)
    evaluator = RandomWeightEvaluator(space, dataset, calibration_images=CALIBRATION)
    key = jax.random.key(2)
    initialise = jax.jit(functools.partial(networks.initialise, networks.network(space)))
    kernels = initialise(jax.random.split(key, evaluator.seeds)[0])
    members = [torch_networks.build(space, genome, kernels) for genome in genomes]
    images = torch_peer.as_channels_last(np.concatenate([dataset.train_images, dataset.validation_images]))
    for network in members:
        network.calibrate(images[:CALIBRATION])
    return dataset, evaluator.features(key, genomes), members, images


def test_features_agree_with_pytorch(compared):
    _, ours, members, images = compared

    theirs = [torch_peer.features(network, images, batch=64) for network in members]

    np.testing.assert_allclose(ours, torch.stack(theirs), rtol=0, atol=1e-4)


def test_folding_the_normalisation_and_several_streams_change_rounding_only(compared):
    _, ours, members, images = compared

    folded = [torch_peer.features(network.fused(), images, batch=40, streams=2) for network in members]

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
