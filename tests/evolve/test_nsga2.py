import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evosax import types
from evosax.algorithms.population_based.base import PopulationBasedAlgorithm
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding.classes import RankAndCrowding

from rwejax.errors import InputError
from rwejax.evolve import NSGA2, mutate, sample_distinct, two_point_crossover
from rwejax.evolve.distinct import encode
from rwejax.evolve.random_search import RandomSearch

# (population, genes, values, archive): an odd population, in a space of 792 different genomes.
PLAIN = (21, 5, 8)
ARCHIVING = (21, 5, 8, 90)


def evaluate(genomes):
    """Two distances that pull apart, to all zeros and to all threes."""
    return jnp.stack([genomes.sum(axis=1), ((genomes - 3) ** 2).sum(axis=1)], axis=1).astype(jnp.float32)


def failing(genomes):
    return jnp.full((genomes.shape[0], 2), jnp.nan)


def start(algorithm, seed=0, evaluate=evaluate):
    key_population, key_init = jax.random.split(jax.random.key(seed))
    population = algorithm.initial_population(key_population)
    return algorithm.init(key_init, population, evaluate(population), algorithm.default_params)


def generation(algorithm, key, state, evaluate=evaluate):
    key_ask, key_tell = jax.random.split(key)
    children, state = algorithm.ask(key_ask, state, algorithm.default_params)
    state, metrics = algorithm.tell(key_tell, children, evaluate(children), state, algorithm.default_params)
    return state, metrics, children


def forms(genomes):
    """The set of genomes up to the order of their genes."""
    return {tuple(sorted(genome)) for genome in genomes.tolist()}


def assert_same(one, other):
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


def test_it_is_called_like_evosaxs_algorithms(nsga2):
    """It has no base class to inherit this from."""
    for name in ("init", "ask", "tell", "get_best_solution", "get_population"):
        ours, theirs = (inspect.signature(getattr(each, name)) for each in (NSGA2, PopulationBasedAlgorithm))
        assert list(ours.parameters) == list(theirs.parameters)
    algorithm = nsga2(*PLAIN)
    assert isinstance(algorithm.default_params, types.Params)
    assert isinstance(jax.eval_shape(lambda: start(algorithm)), types.State)


def test_children_are_new_and_within_bounds(nsga2):
    algorithm = nsga2(*PLAIN)
    state = start(algorithm)
    assert len(forms(state.population)) == algorithm.population_size
    for key in jax.random.split(jax.random.key(1), 5):
        parents = forms(state.population)
        state, _, children = generation(algorithm, key, state)
        assert children.shape == (algorithm.population_size, algorithm.num_dims)
        assert children.dtype == jnp.int32
        assert bool(jnp.all((children >= algorithm.space.lower) & (children <= algorithm.space.upper)))
        assert len(forms(children)) == algorithm.population_size
        assert not forms(children) & parents


def test_archive_is_a_ring_and_what_it_holds_is_not_asked_for(nsga2):
    algorithm = nsga2(*ARCHIVING)
    state = start(algorithm)
    assert int(state.archive_count) == 21
    told = [algorithm.initial_population(jax.random.split(jax.random.key(0))[0])]
    for key in jax.random.split(jax.random.key(1), 5):
        remembered = forms(jnp.concatenate(told)[-90:])
        state, _, children = generation(algorithm, key, state)
        assert len(forms(children)) == 21
        assert not forms(children) & remembered
        told.append(children)
    codes = encode(algorithm.space, jnp.concatenate(told))
    assert int(state.archive_count) == len(codes) == 126
    np.testing.assert_array_equal(state.archive, jnp.concatenate([codes[90:], codes[36:90]]))
    np.testing.assert_array_equal(state.codes, encode(algorithm.space, state.population))


def test_archive_smaller_than_the_population_keeps_the_latest(nsga2, grid):
    algorithm = NSGA2(21, grid(5, 8), archive_size=4)
    population = nsga2(*PLAIN).initial_population(jax.random.key(0))
    state = algorithm.init(jax.random.key(0), population, evaluate(population), algorithm.default_params)
    np.testing.assert_array_equal(state.archive, encode(algorithm.space, population[-4:]))


def test_space_smaller_than_the_population_does_not_hang(nsga2):
    algorithm = nsga2(10, 2, 2, 8)
    everything = {(0, 0), (0, 1), (1, 1)}
    state = start(algorithm)
    for key in jax.random.split(jax.random.key(1), 3):
        state, metrics, children = generation(algorithm, key, state)
        assert children.shape == (10, 2)
        assert forms(state.population) == everything
    # Evaluated over and over, each of the three stands in the front once.
    assert int(metrics["front_size"]) == 3


def test_repeats_do_not_displace_a_rank(nsga2):
    algorithm = nsga2(*PLAIN)
    population = algorithm.initial_population(jax.random.key(0))
    fitness = jnp.stack([jnp.arange(21.0), jnp.arange(21.0)], axis=1)
    state = algorithm.init(jax.random.key(0), population, fitness, algorithm.default_params)
    state, _ = algorithm.tell(jax.random.key(1), population, fitness, state, algorithm.default_params)
    np.testing.assert_array_equal(state.population, population)
    np.testing.assert_array_equal(state.rank, range(21))


def test_finds_the_true_front(nsga2):
    algorithm = nsga2(*PLAIN)
    state = start(algorithm)
    for key in jax.random.split(jax.random.key(1), 200):
        state, metrics, _ = generation(algorithm, key, state)
    everything = np.array(list(itertools.combinations_with_replacement(range(8), 5)))
    values = np.asarray(evaluate(everything))
    # The front leads from all zeros to all threes: for each sum up to 15, the genome closest to all threes.
    best = {(total, float(values[values[:, 0] == total, 1].min())) for total in range(16)}
    assert {tuple(row) for row in state.fitness[state.rank == 0].tolist()} == best
    np.testing.assert_array_equal(metrics["ideal"], [0, 0])
    np.testing.assert_array_equal(state.best_solution, 0)
    assert int(metrics["front_size"]) >= 16
    assert int(metrics["generation_counter"]) == int(state.generation_counter) == 200


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("values", [4, 1000])
def test_survivors_agree_with_pymoo(nsga2, seed, values):
    algorithm = nsga2(*PLAIN)
    fitness = np.random.default_rng(seed).integers(0, values, (42, 2)).astype(np.float32)
    population = algorithm.initial_population(jax.random.key(seed))
    state = algorithm.init(jax.random.key(0), population, fitness[:21], algorithm.default_params)
    children, state = algorithm.ask(jax.random.key(1), state, algorithm.default_params)
    merged = Population.new(F=np.concatenate([state.fitness, fitness[21:]]))
    state, _ = algorithm.tell(jax.random.key(2), children, fitness[21:], state, algorithm.default_params)

    kept = RankAndCrowding()._do(None, merged, n_survive=21, random_state=np.random.default_rng(0))
    ours = sorted(zip(state.rank.tolist(), state.crowding.tolist(), strict=True))
    theirs = sorted(zip(kept.get("rank"), kept.get("crowding"), strict=True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_genomes_keep_their_fitness(nsga2):
    algorithm = nsga2(*PLAIN)
    state, _, _ = generation(algorithm, jax.random.key(1), start(algorithm))
    np.testing.assert_array_equal(state.fitness, evaluate(state.population))


def test_best_solution_is_the_first_of_the_front(nsga2):
    algorithm = nsga2(*PLAIN)
    population = algorithm.initial_population(jax.random.key(0))
    fitness = jnp.full((21, 2), 9.0).at[:4].set(jnp.array([[jnp.nan, 0], [3, 1], [2, 8], [2, 7]]))
    state = algorithm.init(jax.random.key(0), population, fitness, algorithm.default_params)
    np.testing.assert_array_equal(state.best_solution, population[3])
    np.testing.assert_array_equal(algorithm.get_best_solution(state), population[3])
    assert state.best_fitness.shape == ()
    assert float(state.best_fitness) == 2


def test_failed_evaluations_do_not_survive_a_success(nsga2):
    algorithm = nsga2(*PLAIN)
    failed = start(algorithm, evaluate=failing)
    assert float(failed.best_fitness) == jnp.inf
    state, metrics, children = generation(algorithm, jax.random.key(1), failed)
    assert forms(state.population) == forms(children)
    assert bool(jnp.isfinite(state.best_fitness))
    assert bool(jnp.all(jnp.isfinite(metrics["ideal"])))
    _, metrics, _ = generation(algorithm, jax.random.key(1), failed, failing)
    assert int(metrics["front_size"]) == 0
    assert bool(jnp.all(jnp.isnan(metrics["ideal"])))


def test_takes_three_objectives(nsga2):
    algorithm = nsga2(*PLAIN)
    params = algorithm.default_params
    parents, others = map(algorithm.initial_population, jax.random.split(jax.random.key(0)))
    children = others[jnp.array([not forms(genome[None]) & forms(parents) for genome in others])]
    fitness = jax.random.uniform(jax.random.key(1), (21 + len(children), 3))
    state = algorithm.init(jax.random.key(2), parents, fitness[:21], params)
    state, metrics = algorithm.tell(jax.random.key(3), children, fitness[21:], state, params)
    np.testing.assert_array_equal(metrics["ideal"], fitness.min(axis=0))
    assert float(state.best_fitness) == float(fitness[:, 0].min())


def test_a_generation_lowers_for_accelerators(nsga2):
    algorithm = nsga2(*ARCHIVING)
    state = start(algorithm)

    def step(words, children, fitness, state):
        state, _ = algorithm.tell(jax.random.key(0), children, fitness, state, algorithm.default_params)
        return algorithm.ask(jax.random.wrap_key_data(words), state, algorithm.default_params)

    arguments = jax.random.key_data(jax.random.key(0)), state.population, state.fitness, state
    exported = jax.export.export(jax.jit(step), platforms=("cuda", "tpu"))(*arguments)
    assert exported.platforms == ("cuda", "tpu")


def test_state_keeps_its_types(nsga2):
    algorithm = nsga2(*ARCHIVING)
    initial = start(algorithm)
    state, _, _ = generation(algorithm, jax.random.key(1), initial)
    assert jax.tree.structure(state) == jax.tree.structure(initial)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(initial), strict=True):
        assert (one.shape, one.dtype, one.weak_type) == (other.shape, other.dtype, other.weak_type)


@pytest.mark.slow
def test_scan_mapped_over_seeds_gives_what_loops_give(nsga2):
    algorithm = nsga2(*ARCHIVING)

    def run(seed):
        keys = jax.random.split(jax.random.key(seed), 4)
        return jax.lax.scan(lambda state, key: generation(algorithm, key, state)[:2], start(algorithm, seed), keys)

    states, metrics = jax.jit(jax.vmap(run))(jnp.arange(2))
    np.testing.assert_array_equal(metrics["generation_counter"], [[1, 2, 3, 4]] * 2)
    for seed in range(2):
        state = start(algorithm, seed)
        for key in jax.random.split(jax.random.key(seed), 4):
            state, _, _ = generation(algorithm, key, state)
        assert_same(jax.tree.map(lambda leaf, seed=seed: leaf[seed], states), state)


def test_compiles_once(nsga2):
    algorithm = nsga2(*ARCHIVING)
    compiled_evaluate = jax.jit(evaluate)
    state, _, _ = generation(algorithm, jax.random.key(0), start(algorithm), compiled_evaluate)
    keys = list(jax.random.split(jax.random.key(1), 5))
    compilations = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for key in keys:
            state, _, _ = generation(algorithm, key, state, compiled_evaluate)
        assert compilations == []
        jax.jit(lambda x: x + 1)(1.0)
        assert len(compilations) == 1, "the listener hears no compilation"
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_same_keys_same_run_and_instances_share_nothing(nsga2):
    one, other = nsga2(*PLAIN), nsga2(*ARCHIVING)
    keys = jax.random.split(jax.random.key(1), 4)
    alone, disturbed = start(one), start(one)
    for key in keys:
        alone, _, _ = generation(one, key, alone)

    disturber = start(other)
    for key in keys:
        disturber, _, _ = generation(other, key, disturber)
        disturbed, _, _ = generation(one, key, disturbed)
    assert_same(alone, disturbed)

    differently, _, _ = generation(one, jax.random.key(2), alone)
    again, _, _ = generation(one, jax.random.key(3), alone)
    assert bool(jnp.any(differently.population != again.population))


def test_numpy_and_doubles_are_accepted(nsga2):
    algorithm = nsga2(*PLAIN)
    population = np.asarray(algorithm.initial_population(jax.random.key(0)))
    values = np.asarray(evaluate(population))
    params = algorithm.default_params
    expected = algorithm.init(jax.random.key(1), jnp.asarray(population), jnp.asarray(values), params)
    state = algorithm.init(jax.random.key(1), population.astype(np.int64), values.astype(np.float64), params)
    assert_same(state, expected)
    children = np.asarray(algorithm.ask(jax.random.key(2), state, params)[0])
    values = np.asarray(evaluate(children))
    told, _ = algorithm.tell(jax.random.key(3), children, values.astype(np.float64), state, params)
    assert told.fitness.dtype == jnp.float32
    assert_same(told, algorithm.tell(jax.random.key(3), jnp.asarray(children), values, expected, params)[0])


@pytest.mark.parametrize(("arguments", "words"), [((1,), "population_size is 1"), ((4, -1), "archive_size is -1")])
def test_sizes_that_cannot_work_are_refused(grid, arguments, words):
    population_size, *archive_size = arguments
    with pytest.raises(InputError, match=words):
        NSGA2(population_size, grid(5, 8), *archive_size)


def test_shapes_that_do_not_fit_are_refused(nsga2):
    algorithm = nsga2(*PLAIN)
    params, key = algorithm.default_params, jax.random.key(0)
    population = algorithm.initial_population(key)
    with pytest.raises(InputError, match=r"fitness has shape \(21,\)"):
        algorithm.init(key, population, jnp.zeros(21), params)
    with pytest.raises(InputError, match=r"population has shape \(21, 5\); give \(3, 5\)"):
        algorithm.init(key, population, jnp.zeros((3, 2)), params)
    with pytest.raises(InputError, match="init was given 3 genomes; give 21"):
        algorithm.init(key, population[:3], jnp.zeros((3, 2)), params)
    state = algorithm.init(key, population, jnp.zeros((21, 2)), params)
    with pytest.raises(InputError, match="tell was given 3 objectives; init was given 2"):
        algorithm.tell(key, population, jnp.zeros((21, 3)), state, params)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64])
def test_integers_of_any_width_are_taken(nsga2, dtype):
    algorithm = nsga2(*PLAIN)
    population = np.asarray(algorithm.initial_population(jax.random.key(0)))
    values, params = np.asarray(evaluate(population)), algorithm.default_params
    state = algorithm.init(jax.random.key(1), population.astype(dtype), values, params)
    assert state.population.dtype == jnp.int32
    assert_same(state, algorithm.init(jax.random.key(1), population, values, params))


def test_floats_are_no_genomes(nsga2, grid):
    algorithm, key = nsga2(*PLAIN), jax.random.key(0)
    params, genomes = algorithm.default_params, algorithm.initial_population(key)
    floats, values = genomes.astype(float), evaluate(genomes)
    state = algorithm.init(key, genomes, values, params)
    random, space = RandomSearch(21, grid(5, 8), 90), grid(5, 8)
    for call in (
        lambda: algorithm.init(key, floats, values, params),
        lambda: algorithm.init(key, np.asarray(floats, np.float64), values, params),
        lambda: algorithm.tell(key, floats, values, state, params),
        lambda: algorithm.ask(key, state.replace(population=floats), params),
        lambda: random.init(key, floats, values, None),
        lambda: random.tell(key, floats, values, random.init(key, genomes, values, None), None),
    ):
        with pytest.raises(InputError, match=r"population is float(32|64), but genes are integers"):
            call()
    with pytest.raises(InputError, match="genomes is float32"):
        mutate(key, floats, space.lower, space.upper, 0.5)
    with pytest.raises(InputError, match="second is float32"):
        two_point_crossover(key, genomes, floats, 0.5)
    with pytest.raises(InputError, match="archive is float32"):
        sample_distinct(key, space, 3, floats)


class Bits:
    """Genomes of eight bits, each a network of its own."""

    lower, upper = np.zeros(8, np.int32), np.ones(8, np.int32)

    def sample(self, key, n):
        return jax.random.randint(key, (n, 8), 0, 2)

    def canonical(self, genomes):
        return genomes


def test_reselection_lets_the_best_of_all_live_on():
    space, key, rng = Bits(), jax.random.key(0), np.random.default_rng(0)
    every = np.unique(np.asarray(space.sample(key, 80)), axis=0)[:40]
    algorithm = NSGA2(10, space, 100)
    params = algorithm.default_params
    before, after = rng.uniform(0, 9, (2, 40, 2)).astype(np.float32)
    after[rng.choice(40, 5)] = np.nan
    state = algorithm.init(key, every[:10], before[:10], params)
    state, _ = algorithm.tell(key, every[10:], before[10:], state, params)
    found = algorithm.reselect(every, after, state)

    known = ~np.isnan(after).any(1)
    survivors = RankAndCrowding().do(Problem(n_obj=2), Population.new(F=after[known]), n_survive=10)
    assert {tuple(point) for point in survivors.get("F")} == {tuple(point) for point in np.asarray(found.fitness)}
    for genome, point in zip(np.asarray(found.population), np.asarray(found.fitness), strict=True):
        np.testing.assert_array_equal(after[(every == genome).all(1)], point[None])
    for name in ("archive", "archive_links", "archive_count", "generation_counter"):
        np.testing.assert_array_equal(getattr(found, name), getattr(state, name))
    assert_same(algorithm.reselect(every, before, found).fitness, state.fitness)
    with pytest.raises(InputError, match="reselect was given 3 genomes; give 10 or more"):
        algorithm.reselect(every[:3], before[:3], state)
