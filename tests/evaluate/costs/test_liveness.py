"""Peaks that can be counted by hand: every array here has 4 x 4 x 2 numbers of 4 bytes, unless it says otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from rwejax.evaluate.costs.liveness import liveness
from rwejax.networks.convolutions import average_pool, max_pool

MAP = 4 * 4 * 2 * 4
X = jax.ShapeDtypeStruct((1, 4, 4, 2), np.float32)
KERNEL = jax.ShapeDtypeStruct((2, 2), np.float32)


def product_then_relu(kernel, x):
    return nonlinear(x @ kernel)


def nonlinear(x):
    return jnp.maximum(2 * x + 1, 0)


CASES = {
    "elementwise, beside the data that stay": (lambda kernel, x: nonlinear(x), 1),
    "a product": (lambda kernel, x: x @ kernel, 1),
    "elementwise in place of the product": (product_then_relu, 1),
    "a product reads an array": (lambda kernel, x: nonlinear(x) @ kernel, 2),
    "the first is gone when the third is made": (lambda kernel, x: nonlinear(x @ kernel) @ kernel @ kernel, 2),
    "two that are read later": (lambda kernel, x: (y := x @ kernel) * (y @ kernel), 2),
    "what is read later stays": (lambda kernel, x: nonlinear(y := x @ kernel) @ kernel + y, 3),
    "a residual of the data": (lambda kernel, x: x + x @ kernel, 1),
    "a concatenation computes as it copies": (lambda kernel, x: jnp.concatenate([nonlinear(x), x], -1), 2),
    "what nothing reads is never made": (lambda kernel, x: (x @ kernel, jnp.concatenate([x] * 9))[0], 1),
    "weights do not count": (lambda kernel, x: x @ (jnp.concatenate([kernel] * 9)[:2] @ kernel), 1),
    "a maximum of neighbours": (lambda kernel, x: max_pool(x, 3, 1, 1), 1),
    "a mean of neighbours of half the height and width": (lambda kernel, x: average_pool(x, 3, 2, 1), 1 / 4),
    "a pool is not in place": (lambda kernel, x: max_pool(x @ kernel, 3, 1, 1), 2),
    "neighbours and the value itself": (lambda kernel, x: (y := x @ kernel) + max_pool(y, 3, 1, 1), 2),
    "a branch that a constant chooses": (
        lambda kernel, x: lax.cond(True, product_then_relu, lambda k, y: y, kernel, x),
        1,
    ),
    "a choice of platform is one operation": (
        lambda kernel, x: lax.platform_dependent(x, cpu=lambda y: jnp.tile(y, (9, 1, 1, 1))[:1], default=lambda y: y),
        1,
    ),
    "functions inside": (lambda kernel, x: jax.jit(product_then_relu)(kernel, jax.nn.relu(x)), 2),
    "the sum over all": (lambda kernel, x: nonlinear(x).sum((1, 2)), 1 + 1 / 16),
}


@pytest.mark.parametrize("case", CASES)
def test_peak(case):
    function, maps = CASES[case]
    found = liveness(function, KERNEL, X)
    assert found.peak == maps * MAP
    assert found.result == MAP * np.prod(jax.eval_shape(function, KERNEL, X).shape) / np.prod(X.shape)


def test_one_loop_over_the_data_is_fused():
    fused = [lambda kernel, x: nonlinear(x), lambda kernel, x: average_pool(nonlinear(x), 3, 1, 1)]
    apart = [lambda kernel, x: x @ kernel, product_then_relu, lambda kernel, x: nonlinear(x) @ kernel]
    assert [liveness(each, KERNEL, X).fused for each in [*fused, *apart]] == [True] * 2 + [False] * 3
