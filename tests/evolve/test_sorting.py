import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax.evolve.sorting import cumsum, lexsort, nth, true_first

SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-42, -1e-42, np.inf, -np.inf, np.nan, -np.nan, 3e38, -3e38]


def keys_of(kind, n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "special": lambda: rng.choice(np.array(SPECIAL, np.float32), n),
        "half": lambda: rng.choice(np.array(SPECIAL, np.float16), n),
        "float": lambda: rng.normal(size=n).astype(np.float32),
        "int": lambda: rng.choice(np.array([-(2**31), -5, 0, 5, 2**31 - 1], np.int32), n),
        "short": lambda: rng.integers(-3, 3, n).astype(np.int16),
        "unsigned": lambda: rng.choice(np.array([0, 5, 2**32 - 1], np.uint32), n),
        "bool": lambda: rng.random(n) < 0.5,
    }[kind]()


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", ["special", "half", "float", "int", "short", "unsigned", "bool"])
@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_agrees_with_numpy(kind, n):
    key = keys_of(kind, n)
    np.testing.assert_array_equal(lexsort((jnp.asarray(key),)), np.argsort(key, kind="stable"))


@pytest.mark.parametrize("kinds", [("float", "short"), ("short", "special"), ("unsigned", "bool", "special", "int")])
def test_agrees_with_numpy_by_several_keys(kinds):
    keys = [keys_of(kind, 300, seed) for seed, kind in enumerate(kinds)]
    order = jax.jit(lambda *keys: lexsort(keys))(*keys)
    assert order.dtype == jnp.int32
    np.testing.assert_array_equal(order, np.lexsort(keys))


@pytest.mark.parametrize("most", [2**27 - 1, 2**28])
def test_keys_that_fill_a_word_or_a_little_more(most):
    # 300 places take 9 bits, which leaves 55 for the keys.
    rng = np.random.default_rng(0)
    keys = [np.append(rng.integers(0, 3, 298), [0, high]).astype(np.uint32) + 5 for high in (most, 2**28 - 1)]
    order = lexsort([jnp.asarray(key) for key in keys])
    np.testing.assert_array_equal(order, np.lexsort(keys))


@pytest.mark.parametrize("n", [0, 1, 2, 300])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_true_flags_come_first(n, share):
    flags = np.random.default_rng(0).random(n) < share
    np.testing.assert_array_equal(true_first(jnp.asarray(flags)), np.argsort(~flags, kind="stable"))


def test_maps_over_a_batch():
    keys = np.random.default_rng(0).integers(0, 9, (2, 3, 50)).astype(np.float32)
    orders = jax.vmap(lambda a, b: lexsort((a, b)))(keys[0], keys[1])
    np.testing.assert_array_equal(orders, [np.lexsort((a, b)) for a, b in zip(*keys, strict=True)])


def test_takes_numbers_of_64_bits():
    with jax.enable_x64(True):
        key = jnp.asarray([2.0**40 + 1, np.nan, 2.0**40, -np.inf, 2.0**40])
        np.testing.assert_array_equal(lexsort((key,)), [3, 2, 4, 0, 1])


def test_running_sum_is_the_same_mapped_over():
    values = np.random.default_rng(0).integers(0, 9, (3, 50)).astype(np.int32)
    np.testing.assert_array_equal(jnp.stack([cumsum(jnp.asarray(row)) for row in values]), values.cumsum(axis=1))
    np.testing.assert_array_equal(jax.vmap(cumsum)(jnp.asarray(values)), values.cumsum(axis=1))


def test_nth_row_of_some_is_the_one_that_sorting_puts_there():
    rng = np.random.default_rng(0)
    key, row, among = rng.integers(0, 5, 40).astype(np.float32), rng.permutation(40), rng.random(40) < 0.5
    order = np.lexsort((row[among], key[among]))
    for place in range(len(order)):
        assert int(nth(jnp.asarray(key), jnp.asarray(row), jnp.asarray(among), place)) == row[among][order[place]]
