"""Convolutions and pools against PyTorch's, in every form that the spaces use."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax.networks.convolutions import average_pool, convolve, features, max_pool

# Even and odd, and smaller than the kernels, as the last maps of small images are.
SIZES = ((6, 8), (8, 4), (7, 5), (2, 2), (1, 3))
CHANNELS = 6
OPTIONS = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch comes with the extra bench: pip install 'rwejax[bench]'")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def channels_first(torch, x):
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "depthwise", "outputs"),
    [
        *[((1, 1), (s, s), 1, False, 4) for s in (1, 2)],
        # Below 24 outputs a CPU computes several pixels at once.
        *[((3, 3), (s, s), 1, False, outputs) for s in (1, 2) for outputs in (4, 24)],
        *[((1, 7), (1, s), 1, False, 4) for s in (1, 2)],
        *[((7, 1), (s, 1), 1, False, 4) for s in (1, 2)],
        *[((k, k), (s, s), 1, True, CHANNELS) for k in (3, 5, 7) for s in (1, 2)],
        *[((k, k), (s, s), 2, True, CHANNELS) for k in (3, 5) for s in (1, 2)],
    ],
)
def test_convolutions_agree_with_pytorch(torch, kernel, stride, dilation, depthwise, outputs):
    weights = draw(*kernel, 1 if depthwise else CHANNELS, outputs, seed=1)
    groups = CHANNELS if depthwise else 1
    around = [dilation * (size // 2) for size in kernel]
    ours = jax.jit(
        functools.partial(
            convolve,
            strides=stride,
            padding=[(each, each) for each in around],
            rhs_dilation=(dilation, dilation),
            feature_group_count=groups,
            **OPTIONS,
        )
    )
    for size in SIZES:
        x = draw(3, *size, CHANNELS)
        theirs = torch.nn.functional.conv2d(
            channels_first(torch, x),
            torch.from_numpy(weights.transpose(3, 2, 0, 1).copy()),
            stride=stride,
            padding=around,
            dilation=dilation,
            groups=groups,
        )
        np.testing.assert_allclose(ours(x, weights), theirs.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "shape", [(2, 5, 6, 4), (3, 7, 7, 4), (2, 6, 8, 30), (2, 5, 3, 30), (1, 15, 4, 24), (2, 16, 2, 24), (2, 6, 10, 3)]
)
@pytest.mark.parametrize("padding", [0, 1])
def test_convolution_equals_laxs_own(shape, padding):
    x, kernel = draw(*shape), draw(3, 3, shape[-1], max(shape[-1], 4), seed=1)
    around = [(padding, padding)] * 2
    expected = jax.lax.conv_general_dilated(x, kernel, (1, 1), around, **OPTIONS)
    np.testing.assert_allclose(convolve(x, kernel, (1, 1), around, **OPTIONS), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("images", [96, 97])  # pieces that come out even, and none
@pytest.mark.parametrize(("stride", "outputs"), [(1, 32), (1, 8), (2, 32)])
def test_a_large_batch_is_convolved_like_its_images(images, stride, outputs):
    x, kernel = draw(images, 32, 32, 8), draw(3, 3, 8, outputs, seed=1)
    ours = jax.jit(functools.partial(convolve, strides=(stride, stride), padding=[(1, 1)] * 2, **OPTIONS))
    few = np.concatenate([ours(part, kernel) for part in np.split(x, [40, 80])])
    np.testing.assert_allclose(ours(x, kernel), few, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (2, 2, 0)])
def test_pools_agree_with_pytorch(torch, size, stride, padding):
    for height, width in SIZES:
        if min(height, width) + 2 * padding < size:
            continue
        x = draw(3, height, width, CHANNELS)
        window = {"kernel_size": size, "stride": stride, "padding": padding}
        largest = torch.nn.functional.max_pool2d(channels_first(torch, x), **window)
        mean = torch.nn.functional.avg_pool2d(channels_first(torch, x), **window, count_include_pad=False)
        for ours, theirs in ((max_pool, largest), (average_pool, mean)):
            expected = theirs.numpy().transpose(0, 2, 3, 1)
            np.testing.assert_allclose(ours(x, size, stride, padding), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_pools_of_16_bits_have_16_bits(pool):
    x = draw(2, 6, 8, CHANNELS)
    found = pool(jnp.asarray(x, jnp.bfloat16), 3, 1, 1)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(np.float32), pool(x, 3, 1, 1), rtol=0, atol=0.05)


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_features_agree_with_pytorchs_adaptive_pool(torch, pool):
    for size in ((6, 8), (7, 5), (3, 4)):
        x = draw(3, *size, CHANNELS)
        theirs = torch.nn.functional.adaptive_avg_pool2d(channels_first(torch, x), pool)
        expected = theirs.numpy().transpose(0, 2, 3, 1).reshape(3, -1)
        np.testing.assert_allclose(features(x, pool), expected, rtol=0, atol=1e-6)
