import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax.networks import gradients


@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (7, 3)])
def test_batch_normalisation_has_flaxs_gradient(shape):
    with jax.enable_x64(True):
        x, gradient = jax.random.normal(jax.random.key(0), (2, *shape), jnp.float64)
        scale, bias = 1 + jax.random.normal(jax.random.key(1), (2, shape[-1]), jnp.float64)
        layer = nn.BatchNorm(use_running_average=False, param_dtype=jnp.float64)

        def flax(x, scale, bias):
            variables = {"params": {"scale": scale, "bias": bias}}
            return layer.apply(variables, 3 + x, mutable=["batch_stats"])[0]

        def ours(x, scale, bias):
            of_batch = gradients.moments(3 + x)
            return gradients.normalised(3 + x, of_batch, scale, bias, layer.epsilon)

        (expected, in_flax), (found, in_ours) = (jax.vjp(each, x, scale, bias) for each in (flax, ours))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        for mine, theirs in zip(in_ours(gradient), in_flax(gradient), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-10)
