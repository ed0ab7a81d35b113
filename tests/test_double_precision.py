"""JAX_ENABLE_X64, which people set for their own sake, changes no number of ours and breaks nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rwejax import data, evolve, networks, spaces
from rwejax.evaluate import costs
from rwejax.evaluate.population import augment
from tests.registered import every_compiled_space

SCRIPT = """
import contextlib, json, tempfile
import jax
import numpy as np
from rwejax import RandomWeightEvaluator, SearchConfig, TrainConfig, data, search, spaces, train
from rwejax.evaluate import estimators

assert jax.config.jax_enable_x64
dataset = data.load("digits", train=40, validation=20, image_size=8)
space = spaces.get("nasbench201", channels=2, cells=1, input_shape=dataset.image_shape)
genomes = np.array([[3, 1, 2, 1, 4, 3], [2, 0, 1, 3, 0, 2]])
small = dict(channels=2, image_size=8, train_images=40, validation_images=20)

def scored(names):
    scores = estimators.together(names, space, dataset, images=20)(jax.random.key(2), genomes)
    return {name: values.tolist() for name, values in scores.items()}

def searched(**changes):
    where = tempfile.mkdtemp()
    config = SearchConfig(**small, population_size=4, generations=2, training_minutes=0, run_dir=where, **changes)
    return search(config).objectives.tolist()

def trained():
    config = TrainConfig(architecture="101110", nodes=2, channels=2, image_size=8, train_images=64,
                         validation_images=20, epochs=1, batch_size=32, flip=True, cutout=2, run_dir=tempfile.mkdtemp())
    result = train(config)
    state = sorted({leaf.dtype.name for leaf in jax.tree.leaves(result.variables)})
    return [result.epochs[0].train_loss, result.epochs[0].validation_loss, result.test.test_loss], state

for precision in (contextlib.nullcontext(), jax.enable_x64(False)):
    with precision:
        found = scored(["rwe_softmax", "fit_path"])
        found["search"] = searched(nodes=2, estimator="rwe")
        found["train"] = trained()
        print(json.dumps(found))
"""


@pytest.mark.slow
def test_every_number_is_the_same():
    """In a process of its own, as whoever sets the variable has it."""
    own = {"JAX_ENABLE_X64": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    environment = {**os.environ, **own}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    double, single = map(json.loads, ended.stdout.splitlines())
    assert double == single
    assert set(single) == {"rwe_softmax", "fit_path", "search", "train"}
    assert single["train"][1] == ["float32"]


@every_compiled_space
def test_what_a_space_draws_and_costs_is_the_same(name):
    space = spaces.get(name, channels=4, input_shape=(16, 16, 1))
    found = []
    for double in (False, True):
        with jax.enable_x64(double):
            genomes = space.sample(jax.random.key(1), 3)
            canonical = space.canonical(genomes)
            kernels = jax.eval_shape(lambda: networks.initialise(networks.network(space), jax.random.key(0)))
            assert {genomes.dtype.name, canonical.dtype.name} == {"int32"}
            assert {leaf.dtype.name for leaf in jax.tree.leaves(kernels)} == {"float32"}
            counts = [costs.get(cost, space)(np.asarray(canonical)).tolist() for cost in ("macs", "params", "memory")]
            found.append([genomes.tolist(), canonical.tolist(), counts])
    assert found[0] == found[1]


@pytest.mark.slow
def test_nsga2_is_the_same():
    space = spaces.get("nasbench201")
    found = []
    for double in (False, True):
        with jax.enable_x64(double):
            algorithm = evolve.NSGA2(8, space, 32)
            params = algorithm.default_params
            key = jax.random.key(0)
            population = algorithm.initial_population(key)

            def fitness(genomes):
                counts = np.stack([space.macs(np.asarray(genomes)) / 1e6, -np.asarray(genomes).sum(1)], 1)
                return counts.astype(np.float32)

            state = algorithm.init(key, population, fitness(population), params)
            for generation in range(2):
                asked, state = algorithm.ask(jax.random.key(generation), state, params)
                state, _ = algorithm.tell(key, asked, fitness(asked), state, params)
            volume = evolve.hypervolume(state.fitness, np.array([200, 1], np.float32))
            found.append([np.asarray(state.population).tolist(), np.asarray(state.fitness).tolist(), float(volume)])
            kinds = {name: np.asarray(value).dtype.name for name, value in vars(state).items()}
            found[-1].append({name: kind for name, kind in kinds.items() if kind != "object"})
    assert found[0] == found[1]


def test_images_are_changed_in_the_same_way():
    images = data.load("digits", train=20, validation=10).train_images
    found = []
    for double in (False, True):
        with jax.enable_x64(double):
            changed = augment.augment(jax.random.key(3), images, crop_padding=2, flip=True, cutout=4)
            assert changed.dtype == np.float32
            found.append(np.asarray(changed))
    np.testing.assert_array_equal(*found)
