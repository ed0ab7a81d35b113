import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymoo.core.population import Population
from pymoo.operators.survival.rank_and_crowding.classes import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from rwejax.evolve import crowding_distance, non_dominated_rank, select_survivors
from rwejax.evolve.ranking import rank_and_select

# Few sizes, for each compiles anew; few values, for ties and repeated rows.
SIZES = (1, 2, 6)
small_grids = st.tuples(st.sampled_from(SIZES), st.integers(1, 3)).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 4).map(float))
)
values = st.sampled_from([0.0, 1.0, 2.0, np.inf, -np.inf, np.nan])
wild_grids = st.tuples(st.sampled_from(SIZES), st.integers(1, 3)).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=values)
)
checks = settings(deadline=None, max_examples=60)
compiled_rank_and_select = jax.jit(rank_and_select, static_argnums=1)


def pymoo_rank(objectives):
    return NonDominatedSorting().do(objectives, return_rank=True)[1]


def pymoo_crowding(objectives, rank):
    crowding = np.empty(len(objectives))
    for front in np.unique(rank):
        crowding[rank == front] = get_crowding_function("cd").do(objectives[rank == front])
    return crowding


def random_objectives(n, m, kind, seed=0):
    rng = np.random.default_rng(seed)
    objectives = {
        "continuous": lambda: rng.normal(size=(n, m)),
        "tied": lambda: rng.integers(0, max(n // 4, 2), (n, m)),
        "duplicated": lambda: rng.normal(size=(n, m))[rng.integers(0, n // 2 + 1, n)],
        "constant": lambda: np.where(np.arange(m) == 0, 7.0, rng.normal(size=(n, m))),
        "front": lambda: np.sort(rng.normal(size=(n, m)), axis=0) * np.where(np.arange(m) == 0, -1, 1),
    }[kind]()
    return objectives.astype(np.float32)


@pytest.mark.parametrize("kind", ["continuous", "tied", "duplicated", "constant", "front"])
@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 6, 200])
def test_agrees_with_pymoo(n, m, kind):
    objectives = random_objectives(n, m, kind)
    rank = non_dominated_rank(objectives)
    np.testing.assert_array_equal(rank, pymoo_rank(objectives))
    np.testing.assert_allclose(crowding_distance(objectives, rank), pymoo_crowding(objectives, rank), rtol=1e-5)


@checks
@given(small_grids)
def test_agrees_with_pymoo_on_small_grids(objectives):
    rank = np.asarray(non_dominated_rank(objectives))
    np.testing.assert_array_equal(rank, pymoo_rank(objectives))
    np.testing.assert_allclose(crowding_distance(objectives, rank), pymoo_crowding(objectives, rank), rtol=1e-5)


@checks
@given(wild_grids)
def test_rank_is_the_longest_chain_of_dominators(objectives):
    finite = ~np.isnan(objectives).any(axis=1)
    expected = np.zeros(len(objectives), int)
    for _ in objectives:
        for i in np.flatnonzero(finite):
            dominates = (objectives <= objectives[i]).all(axis=1) & (objectives < objectives[i]).any(axis=1) & finite
            expected[i] = expected[dominates].max(initial=-1) + 1
    expected[~finite] = expected[finite].max(initial=-1) + 1
    np.testing.assert_array_equal(non_dominated_rank(objectives), expected)


@checks
@given(small_grids, st.data())
def test_rows_with_nan_change_nothing_of_the_others(objectives, data):
    holes = data.draw(hnp.arrays(bool, objectives.shape))
    objectives = np.where(holes, np.nan, objectives)
    finite = ~holes.any(axis=1)
    rank = np.asarray(non_dominated_rank(objectives))
    crowding = np.asarray(crowding_distance(objectives, rank))
    np.testing.assert_array_equal(crowding[~finite], 0)
    np.testing.assert_array_equal(rank[~finite], rank[finite].max(initial=-1) + 1)
    if finite.any():
        np.testing.assert_array_equal(rank[finite], pymoo_rank(objectives[finite]))
        expected = pymoo_crowding(objectives[finite], rank[finite])
        np.testing.assert_allclose(crowding[finite], expected, rtol=1e-5)


@checks
@given(wild_grids)
def test_crowding_is_never_nan_or_negative(objectives):
    assert (crowding_distance(objectives, non_dominated_rank(objectives)) >= 0).all()


def test_row_with_nan_takes_no_part_even_in_the_front_it_is_given():
    objectives = np.array([[0, 3], [1, 1], [np.nan, 0], [3, 0]], np.float32)
    np.testing.assert_allclose(crowding_distance(objectives, np.zeros(4, int)), [np.inf, 1, 0, np.inf])


def test_crowding_counts_ranges_of_the_own_front_only():
    front = np.array([[0, 4], [1, 2], [4, 0]], np.float32)
    objectives = np.concatenate([front, 10 * front + 100])
    np.testing.assert_allclose(
        crowding_distance(objectives, non_dominated_rank(objectives)), [np.inf, 1, np.inf, np.inf, 1, np.inf]
    )


def test_constant_objective_adds_nothing_and_constant_front_has_no_crowding():
    objectives = np.array([[0, 4, 5], [1, 2, 5], [4, 0, 5]], np.float32)
    np.testing.assert_allclose(crowding_distance(objectives, np.zeros(3, int)), [np.inf, 2 / 3, np.inf])
    np.testing.assert_array_equal(crowding_distance(np.ones((4, 2), np.float32), np.zeros(4, int)), 0)


def test_of_repeated_rows_one_is_the_end_of_the_front():
    objectives = np.array([[0, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    np.testing.assert_array_equal(crowding_distance(objectives, np.zeros(4, int))[:3], [np.inf, 0, np.inf])


def test_infinite_objective_leaves_the_finite_gaps_measurable():
    objectives = np.array([[0, 9], [1, 8], [2, 4], [4, 4], [np.inf, 0]], np.float32)
    np.testing.assert_allclose(
        crowding_distance(objectives, np.zeros(5, int)),
        [np.inf, (2 / 4 + 5 / 9) / 2, (3 / 4 + 4 / 9) / 2, np.inf, np.inf],
        rtol=1e-6,
    )


@pytest.mark.parametrize("kind", ["continuous", "tied", "duplicated", "constant"])
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_survivors_agree_with_pymoo(kind, m, seed):
    objectives = random_objectives(200, m, kind, seed)
    rank = non_dominated_rank(objectives)
    crowding = crowding_distance(objectives, rank)
    kept = select_survivors(rank, crowding, 100)
    assert len(set(kept.tolist())) == 100

    survival = RankAndCrowding()
    population = survival._do(
        None, Population.new(F=objectives), n_survive=100, random_state=np.random.default_rng(seed)
    )
    ours = sorted(zip(rank[kept].tolist(), crowding[kept].tolist(), strict=True))
    theirs = sorted(zip(population.get("rank"), population.get("crowding"), strict=True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


# The cut goes through a front of many rows of all, or of few.
@pytest.mark.parametrize("kind", ["continuous", "tied", "duplicated", "front"])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_all_at_once_is_the_same_as_one_by_one(m, kind):
    objectives = random_objectives(80, m, kind).astype(np.float32)
    objectives[[3, 5], [0, -1]] = np.nan, np.inf
    for n in (1, 40, 80):
        rank, crowding, kept = compiled_rank_and_select(objectives, n)
        np.testing.assert_array_equal(rank, non_dominated_rank(objectives))
        np.testing.assert_array_equal(crowding, crowding_distance(objectives, rank))
        assert set(kept.tolist()) == set(select_survivors(rank, crowding, n).tolist())
        np.testing.assert_array_equal(kept, kept[np.lexsort((objectives[kept, 0], rank[kept]))])


@pytest.mark.parametrize("m", [2, 3])
def test_maps_over_a_batch_of_sets(m):
    objectives = np.stack([random_objectives(6, m, "tied", seed) for seed in range(3)])
    rank = jax.vmap(non_dominated_rank)(objectives)
    crowding = jax.vmap(crowding_distance)(objectives, rank)
    for i in range(3):
        np.testing.assert_array_equal(rank[i], non_dominated_rank(objectives[i]))
        np.testing.assert_allclose(crowding[i], crowding_distance(objectives[i], rank[i]), rtol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_integers_beyond_the_precision_of_a_float_keep_their_order(m):
    objectives = jnp.full((2, m), 2**30, jnp.int32).at[1, 0].add(1)
    assert non_dominated_rank(objectives).tolist() == [0, 1]


@pytest.mark.parametrize("m", [1, 2, 3])
def test_no_rows_give_no_ranks(m):
    nothing = np.zeros((0, m), np.float32)
    rank = non_dominated_rank(nothing)
    assert rank.shape == (0,)
    assert crowding_distance(nothing, rank).shape == (0,)
