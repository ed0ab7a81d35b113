"""Population training: as `rwejax.train` trains each network, resumed after a kill, and no network touches another."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from rwejax import TrainConfig, data, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate.population import PopulationTrainer, Recipe, train_population
from rwejax.evaluate.population.recipe import key_of_steps, optimiser
from rwejax.storage.trainings import read_trainings
from rwejax.training.batches import Loaded
from rwejax.training.step import first_state, make_step
from tests.fakes import without_seconds

SIZES = {
    "macro": {"nodes": 3, "channels": 4},
    "micro": {"layers": 3, "channels": 4},
    "darts": {"layers": 3, "channels": 4},
    "nasbench201": {"cells": 1, "channels": 4},
    "nasbench_macro": {"channels": 4},
}
# Small steps, since large ones amplify what differs in rounding.
RECIPE = Recipe(
    epochs=2, batch_size=8, learning_rate=0.003, weight_decay=1e-3, grad_clip=2.0, label_smoothing=0.1, flip=True
)
IMAGES = 80  # so that two epochs are 20 steps


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=IMAGES, validation=30, image_size=8)


def make(name, dataset, genomes=3):
    space = spaces.get(name, **SIZES[name], input_shape=dataset.image_shape, classes=dataset.classes)
    return space, np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(3), genomes))))


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_a_network_is_trained_as_by_itself(name, dataset):
    space, genomes = make(name, dataset, 1)
    trainer = PopulationTrainer(space, dataset, RECIPE)
    (found,) = trainer(genomes)
    variables = trainer.variables(genomes[0], found)

    config = TrainConfig(
        architecture="-",
        crop_padding=1,
        **{
            field.name: getattr(RECIPE, field.name)
            for field in dataclasses.fields(RECIPE)
            if field.name != "crop_padding"
        },
    )
    source, network = Loaded(dataset, config.seed), networks.build(space, genomes[0])
    steps = config.epochs * IMAGES // config.batch_size
    state = first_state(config.seed, network, dataset.image_shape, optimiser(config, steps))
    step = make_step(config, steps, lambda images: images, crop_padding=1, flip=True)
    losses = []
    for epoch in range(config.epochs):
        for batch in source.train_batches(epoch, config.batch_size):
            state, sums = step(key_of_steps(config.seed), state, *batch)
            losses.append(float(sums["loss"]) / config.batch_size)

    assert len(losses) == 20 == len(found.losses)
    # What is minimised is smoothed, and what `train` reports is not.
    assert np.abs(np.diff(losses)).max() > 0.05
    np.testing.assert_allclose(found.losses, losses, rtol=0, atol=1e-3)
    expected = {"params": state.params, "batch_stats": state.batch_stats}
    assert jax.tree.structure(variables) == jax.tree.structure(jax.tree.map(np.asarray, expected))
    jax.tree.map(lambda mine, other: np.testing.assert_allclose(mine, other, rtol=0, atol=2e-3), variables, expected)
    logits = jax.jit(network.apply)(variables, dataset.validation_images)
    assert found.correct == (logits.argmax(-1) == dataset.validation_labels).sum()


@pytest.mark.parametrize("devices", [1, None])
def test_no_network_depends_on_another(dataset, devices):
    space, genomes = make("macro", dataset, 3)
    trainer = PopulationTrainer(space, dataset, RECIPE, devices=jax.devices()[:devices])
    together = {found.number: found for found in trainer(genomes)}
    assert sorted(together) == [0, 1, 2]
    first, calls = trainer._first, itertools.count()

    def spoilt(program):
        state = first(program)
        if next(calls) == 0:
            state = dataclasses.replace(state, head=jax.tree.map(lambda x: x * np.float32(np.nan), state.head))
        return state

    trainer._first = spoilt
    largest = np.argmax(space.macs(genomes))
    for found in trainer(genomes):
        if found.number == largest:
            assert np.isnan(found.losses).all()
            assert np.isnan(found.validation_loss)
        else:
            np.testing.assert_array_equal(found.losses, together[found.number].losses)
            assert found.correct == together[found.number].correct


@pytest.fixture
def compilations():
    """Grows by one with every compilation."""
    found = []

    def listen(event, duration_secs, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.slow
def test_nothing_is_compiled_after_the_first_network(dataset, compilations):
    space, genomes = make("nasbench201", dataset, 4)
    recipe = dataclasses.replace(RECIPE, momentum=0.85)  # of this test alone
    trainer = PopulationTrainer(space, dataset, recipe)
    list(trainer(genomes[:1]))
    before = len(compilations)
    assert before
    assert len(list(trainer(genomes[1:]))) == 3
    assert len(list(trainer(genomes[:2], epochs=3))) == 2
    alike = PopulationTrainer(space, dataset, dataclasses.replace(recipe, seed=5, epochs=1))
    assert len(list(alike(genomes[:1]))) == 1
    assert len(compilations) == before


def test_what_is_measured(dataset, tmp_path):
    space, genomes = make("nasbench201", dataset, 2)
    dead = np.zeros_like(genomes[:1])
    found = train_population(space, np.concatenate([genomes, dead, genomes[:1]]), dataset, RECIPE)
    assert found[0] == found[3]
    assert found[0].architecture == space.to_string(genomes[0])
    assert np.isnan(found[2].validation_error)
    assert np.isnan(found[2].train_loss)
    error = found[1].validation_error / 100
    assert found[1].standard_error == pytest.approx(100 * (error * (1 - error) / 30) ** 0.5)
    assert [each.macs for each in found[:2]] == space.macs(genomes).tolist()
    assert [each.params for each in found[:2]] == space.params(genomes).tolist()


def test_a_file_is_resumed(dataset, tmp_path):
    space, genomes = make("macro", dataset, 4)
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    expected = train_population(space, genomes, dataset, RECIPE, path=whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    assert len(read_trainings(whole)) == 4
    torn.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    told = []
    found = train_population(space, genomes, dataset, RECIPE, path=torn, on_trained=lambda *each: told.append(each))
    assert [each[1:] for each in told] == [(3, 4), (4, 4)]
    assert [each[0] for each in told] == read_trainings(torn)[2:]
    assert without_seconds(torn) == without_seconds(whole)
    assert [dataclasses.replace(each, seconds=0) for each in found] == [
        dataclasses.replace(each, seconds=0) for each in expected
    ]
    with pytest.raises(InputError, match=r"^'.*torn.jsonl' was written with epochs 2, and now it is 3: give"):
        train_population(space, genomes, dataset, dataclasses.replace(RECIPE, epochs=3), path=torn)
    torn.write_bytes(lines[0] + b"{}\n" + lines[1])
    with pytest.raises(InputError, match=r"line 2 of .* is broken"):
        train_population(space, genomes, dataset, RECIPE, path=torn)


TRAINING = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_disable_most_optimizations", True)
from rwejax import data, spaces
from rwejax.evaluate.population import Recipe, train_population
dataset = data.load("digits", train=80, validation=30, image_size=8)
space = spaces.get("macro", nodes=3, channels=4, input_shape=dataset.image_shape, classes=10)
train_population(space, space.sample(jax.random.key(3), 6), dataset, Recipe(epochs=2, batch_size=8), path=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_training_is_resumed_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    command = [sys.executable, "-c", TRAINING]
    subprocess.run([*command, str(whole)], check=True)
    process = subprocess.Popen([*command, str(killed)])
    while process.poll() is None and (not killed.exists() or killed.read_bytes().count(b"\n") < 3):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 3 <= killed.read_bytes().count(b"\n") < 7
    subprocess.run([*command, str(killed)], check=True)
    assert without_seconds(killed) == without_seconds(whole)


def test_bad_recipes_are_one_sentence(dataset):
    space, genomes = make("macro", dataset, 1)
    with pytest.raises(InputError, match="epochs is 0: give 1 or more"):
        train_population(space, genomes, dataset, Recipe(epochs=0))
    with pytest.raises(InputError, match=r"genomes\[0, 0\] is 7"):
        train_population(space, np.full_like(genomes, 7), dataset, RECIPE)
