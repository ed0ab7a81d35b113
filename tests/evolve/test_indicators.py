import jax
import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rwejax.evolve import hypervolume

grids = st.tuples(st.sampled_from((1, 2, 7)), st.integers(2, 3)).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 5).map(float))
)


def moocore_hypervolume(objectives, reference):
    inside = objectives[(objectives < reference).all(axis=1)]
    return moocore.hypervolume(inside.astype(np.float64), ref=reference) if len(inside) else 0.0


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("spread", [0.5, 1.5])  # at 1.5 many points are beyond the reference
def test_agrees_with_moocore(n, m, spread):
    objectives = np.random.default_rng(n).uniform(0, spread, (n, m)).astype(np.float32)
    reference = np.ones(m)
    expected = moocore_hypervolume(objectives, reference)
    np.testing.assert_allclose(hypervolume(objectives, reference), expected, rtol=1e-5)


@pytest.mark.parametrize("m", [2, 3])
def test_agrees_with_moocore_on_a_front_in_uneven_units(m):
    rng = np.random.default_rng(0)
    directions = np.abs(rng.normal(size=(200, m)))
    scale = np.array([100.0, 4e7, 1e-3])[:m]
    objectives = ((1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)) * scale).astype(np.float32)
    expected = moocore_hypervolume(objectives, 1.1 * scale)
    np.testing.assert_allclose(hypervolume(objectives, 1.1 * scale), expected, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(grids)
def test_agrees_with_moocore_on_small_grids(objectives):
    reference = np.full(objectives.shape[1], 4.0)
    np.testing.assert_allclose(hypervolume(objectives, reference), moocore_hypervolume(objectives, reference))


@pytest.mark.parametrize("m", [2, 3])
def test_rows_that_do_not_count_add_nothing(m):
    objectives = np.full((5, m), 0.5, np.float32)
    objectives[1, 0], objectives[2, 1], objectives[3, 0], objectives[4, 1] = np.nan, 1.0, -np.inf, np.inf
    np.testing.assert_allclose(hypervolume(objectives, np.ones(m)), 0.5**m)


@pytest.mark.parametrize("m", [2, 3])
def test_is_zero_without_rows(m):
    assert hypervolume(np.zeros((0, m), np.float32), np.ones(m)) == 0
    assert hypervolume(np.full((4, m), np.nan, np.float32), np.ones(m)) == 0


@pytest.mark.parametrize("m", [2, 3])
def test_maps_over_a_batch_of_sets(m):
    objectives = np.random.default_rng(0).uniform(0, 1.2, (3, 20, m)).astype(np.float32)
    volumes = jax.vmap(hypervolume, in_axes=(0, None))(objectives, np.ones(m))
    np.testing.assert_allclose(volumes, [moocore_hypervolume(o, np.ones(m)) for o in objectives], rtol=1e-5)


@pytest.mark.parametrize("m", [1, 4])
def test_other_numbers_of_objectives_are_refused(m):
    with pytest.raises(ValueError, match=f"2 or 3 objectives and was given {m}"):
        hypervolume(np.zeros((3, m), np.float32), np.ones(m))
