"""Arrays on a mesh whose axes are Explicit, as `jax.make_mesh` makes them: split or copied, all is as on one device."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from rwejax.evolve import (
    NSGA2,
    crowding_distance,
    hypervolume,
    mutate,
    non_dominated_rank,
    sample_distinct,
    select_survivors,
    tournament,
    two_point_crossover,
)
from rwejax.evolve.random_search import RandomSearch

SPLIT, COPIED = PartitionSpec("devices"), PartitionSpec()
OBJECTIVES = np.random.default_rng(0).random((8, 3), np.float32)
PLACES = pytest.mark.parametrize(("spec", "inside"), [(SPLIT, False), (SPLIT, True)])


@pytest.fixture(scope="module")
def mesh():
    mesh = jax.make_mesh((2,), ("devices",))
    assert mesh.axis_types == (AxisType.Explicit,)
    return mesh


@pytest.fixture
def place(mesh, spec, inside):
    """Puts arrays on the mesh, those of scalars whole."""

    def put(x):
        return jax.device_put(x, NamedSharding(mesh, spec if jnp.ndim(x) and len(x) % 2 == 0 else COPIED))

    with jax.set_mesh(mesh) if inside else contextlib.nullcontext():
        yield lambda tree: jax.tree.map(put, tree)


def assert_same(found, expected, devices=2):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {len(leaf.devices()) for leaf in jax.tree.leaves(found)} == {devices}


@PLACES
@pytest.mark.parametrize("m", [2, 3])
def test_selection(place, m):
    objectives, reference = jnp.asarray(OBJECTIVES[:, :m]), np.full(m, 2, np.float32)
    rank = non_dominated_rank(objectives)
    crowding = crowding_distance(objectives, rank)
    there = place(objectives)
    assert_same(non_dominated_rank(there), rank)
    assert_same(crowding_distance(there, place(rank)), crowding)
    assert_same(crowding_distance(there, np.asarray(rank)), crowding)
    assert_same(select_survivors(place(rank), place(crowding), 5), select_survivors(rank, crowding, 5))
    assert_same(hypervolume(there, reference), hypervolume(objectives, reference))


@pytest.mark.parametrize(("spec", "inside"), [(SPLIT, False)])
def test_variation(place, grid):
    key, space = jax.random.key(0), grid(5, 8)
    genomes, rank = space.sample(key, 8), jnp.arange(8) // 2
    bounds, crowding = (np.zeros(5, np.int32), np.full(5, 7, np.int32)), jnp.arange(8.0)
    assert_same(tournament(key, place(rank), place(crowding), 6), tournament(key, rank, crowding, 6))
    there = place(genomes)
    assert_same(mutate(key, there, *bounds, 0.3), mutate(key, genomes, *bounds, 0.3))
    crossed = two_point_crossover(key, genomes, genomes[::-1], 0.9)
    assert_same(two_point_crossover(key, there, place(genomes[::-1]), 0.9), crossed)
    archive = space.canonical(genomes)
    assert_same(sample_distinct(key, space, 4, place(archive)), sample_distinct(key, space, 4, archive))


def generation(algorithm, key, state, place=lambda tree: tree):
    children, state = algorithm.ask(key, state, algorithm.default_params)
    fitness = evaluate(np.asarray(children))
    return algorithm.tell(key, place(children), place(fitness), state, algorithm.default_params)[0]


def evaluate(genomes):
    return np.stack([genomes.sum(1), ((genomes - 3) ** 2).sum(1)], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "spec", "inside"),
    [
        pytest.param(NSGA2, SPLIT, False, marks=pytest.mark.slow),
        (RandomSearch, SPLIT, True),
        (RandomSearch, COPIED, False),
    ],
)
def test_a_search(place, make, grid):
    algorithm, key = make(8, grid(5, 8), 40), jax.random.key(0)
    population = np.asarray(algorithm.initial_population(key))
    fitness = evaluate(population)
    state = algorithm.init(key, population, fitness, algorithm.default_params)
    on_mesh = algorithm.init(key, place(population), place(fitness), algorithm.default_params)
    assert_same(on_mesh, state)
    expected = generation(algorithm, key, state)
    assert_same(generation(algorithm, key, on_mesh, place), expected)
    assert_same(generation(algorithm, key, place(on_mesh)), expected)  # a state that the user has split


@pytest.mark.slow
def test_inside_jit_and_scan(mesh, grid):
    algorithm = NSGA2(8, grid(5, 8), 40)
    population = algorithm.initial_population(jax.random.key(0))

    def step(state, key):
        children, state = algorithm.ask(key, state, algorithm.default_params)
        fitness = jnp.stack([children.sum(1), ((children - 3) ** 2).sum(1)], 1).astype(jnp.float32)
        return algorithm.tell(key, children, fitness, state, algorithm.default_params)

    @jax.jit
    def run(population, fitness):
        state = algorithm.init(jax.random.key(0), population, fitness, algorithm.default_params)
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 2))[0]

    arguments = population, evaluate(np.asarray(population))
    there = [jax.device_put(each, NamedSharding(mesh, SPLIT)) for each in arguments]
    assert_same(run(*there), run(*arguments))


def test_without_a_mesh_nothing_is_added():
    plain = jax.make_jaxpr(non_dominated_rank)(OBJECTIVES)
    inner = jax.make_jaxpr(jax.jit(non_dominated_rank.__wrapped__.__wrapped__))(OBJECTIVES)
    assert str(plain) == str(inner)
    assert "reshard" not in str(plain)
