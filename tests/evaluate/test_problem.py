import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evosax.algorithms import CMA_ES, PSO, DifferentialEvolution, SimpleGA
from evosax.problems.problem import Problem

from rwejax import data, spaces
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator, RandomWeightProblem
from rwejax.evolve import NSGA2


@pytest.fixture(scope="module")
def problem():
    dataset = data.load("digits", train=64, validation=32, image_size=8)
    space = spaces.get("macro", nodes=3, channels=4, input_shape=dataset.image_shape)
    return RandomWeightProblem(RandomWeightEvaluator(space, dataset, calibration_images=32))


@pytest.mark.slow
def test_a_search_in_evosaxs_shape_never_loses_its_best(problem):
    assert isinstance(problem, Problem)
    assert problem.num_dims == 12
    algorithm = NSGA2(6, problem.evaluator.space)
    params = algorithm.default_params
    keys = iter(jax.random.split(jax.random.key(0), 20))
    state = problem.init(next(keys))
    population = algorithm.initial_population(next(keys))
    fitness, state, metrics = problem.eval(next(keys), population, state)
    np.testing.assert_allclose(fitness[:, 0], metrics["scores"].error, rtol=1e-6)
    np.testing.assert_allclose(fitness[:, 1] * 1e6, problem.evaluator.space.macs(population), rtol=1e-6)
    search = algorithm.init(next(keys), population, fitness, params)
    best = [float(search.best_fitness)]
    for _ in range(3):
        population, search = algorithm.ask(next(keys), search, params)
        fitness, state, _ = problem.eval(next(keys), population, state)
        search, _ = algorithm.tell(next(keys), population, fitness, search, params)
        best.append(float(search.best_fitness))
    assert state.counter == 4
    assert best == sorted(best, reverse=True)


def test_the_weights_are_the_problems_own(problem):
    population = problem.evaluator.space.sample(jax.random.key(1), 3)
    state = problem.init(jax.random.key(2))
    first, state, _ = problem.eval(jax.random.key(3), population, state)
    second, _, _ = problem.eval(jax.random.key(4), population, state)
    assert (first == second).all()


def test_inside_jit_is_one_sentence(problem):
    state = problem.init(jax.random.key(2))
    population = problem.evaluator.space.sample(jax.random.key(1), 3)
    with pytest.raises(InputError, match="call it from Python"):
        jax.jit(lambda genomes: problem.eval(jax.random.key(3), genomes, state)[0])(population)


@pytest.fixture(scope="module")
def single(problem):
    return RandomWeightProblem(problem.evaluator, objective="error")


@pytest.mark.parametrize("make", [SimpleGA, DifferentialEvolution, PSO, CMA_ES])
def test_evosaxs_own_algorithms_minimise_one_objective(single, make):
    keys = iter(jax.random.split(jax.random.key(0), 20))
    state, solution = single.init(next(keys)), single.sample(next(keys))
    algorithm = make(6, solution)
    params = algorithm.default_params
    if make is CMA_ES:
        search = algorithm.init(next(keys), solution, params)
    else:
        population = jax.vmap(single.sample)(jax.random.split(next(keys), 6))
        fitness, state, _ = single.eval(next(keys), population, state)
        search = algorithm.init(next(keys), population, fitness, params)
    seen = [float(search.best_fitness)]
    for _ in range(3):
        population, search = algorithm.ask(next(keys), search, params)
        fitness, state, metrics = single.eval(next(keys), population, state)
        assert fitness.shape == (6,)
        np.testing.assert_allclose(fitness, metrics["scores"].error, rtol=1e-6)
        search, _ = algorithm.tell(next(keys), population, fitness, search, params)
        seen.append(min(seen[-1], float(fitness.min())))
        assert float(search.best_fitness) == seen[-1]
    # What an algorithm returns is a vector of floats, and the genome that it stands for is as good.
    best = single.genomes(search.best_solution[None])
    assert float(single.eval(next(keys), best, state)[0][0]) == seen[-1]


def test_floats_stand_for_the_nearest_genome_within_the_bounds(problem):
    problem = RandomWeightProblem(problem.evaluator, "macs")
    bits = np.array([0, 1] * 6, np.int32)
    floats = jnp.asarray([-7.0, 0.51, 0.49, 9.0, -0.2, jnp.inf, -jnp.inf, 1.2, 0.4, 0.8, 0.1, 1.0])
    np.testing.assert_array_equal(problem.genomes(floats), bits)
    np.testing.assert_array_equal(problem.genomes(bits.astype(np.uint8)), bits)
    assert problem.genomes(floats).dtype == np.int32
    state = problem.init(jax.random.key(0))
    fitness = problem.eval(jax.random.key(0), floats[None], state)[0]
    np.testing.assert_allclose(fitness * 1e6, problem.evaluator.space.macs(bits[None]), rtol=1e-6)


def test_samples_are_of_the_type_that_the_algorithms_take(problem, single):
    assert problem.sample(jax.random.key(0)).dtype == jnp.int32
    floats = single.sample(jax.random.key(0))
    assert floats.dtype == jnp.float32
    np.testing.assert_array_equal(floats, problem.sample(jax.random.key(0)))
    assert single.num_dims == 12


def test_what_is_no_solution_or_no_objective_is_refused(problem, single):
    with pytest.raises(InputError, match="objective 'params' is unknown: choose one of error, macs"):
        RandomWeightProblem(problem.evaluator, "params")
    with pytest.raises(InputError, match="solutions hold NaN"):
        single.eval(jax.random.key(0), jnp.full((1, 12), jnp.nan), single.init(jax.random.key(0)))
