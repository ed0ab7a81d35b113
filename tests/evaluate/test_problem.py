import jax
import numpy as np
import pytest
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
