import dataclasses
import gc
import json
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path
from unittest.mock import Mock

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator, estimators, ridge_scores
from rwejax.evaluate.forward import ForwardPass
from rwejax.objectives import RWE_SCORES
from rwejax.runtime.device_kinds import DeviceKind


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=64, validation=32, image_size=8)


@pytest.fixture(scope="module")
def space(dataset):
    return spaces.get("macro", nodes=3, channels=4, input_shape=dataset.image_shape)


@pytest.fixture(scope="module")
def genomes(space):
    return np.asarray(space.sample(jax.random.key(0), 6))


@pytest.fixture(scope="module")
def evaluate(space, dataset):
    return RandomWeightEvaluator(space, dataset, calibration_images=32)


def test_scores_are_the_ridge_scores_of_the_features(evaluate, dataset, genomes):
    scores = evaluate(jax.random.key(1), genomes)
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    for i, features in enumerate(evaluate.features(jax.random.key(1), genomes)):
        expected = ridge_scores(features, labels, 10, 64)
        for name in RWE_SCORES:
            assert getattr(scores, name)[i] == pytest.approx(float(getattr(expected, name)), rel=1e-3)


@pytest.mark.slow
def test_eight_devices_give_the_scores_of_one():
    """In a process of its own, since JAX settles the number of devices when it starts."""
    script = """
import jax, json
from rwejax import RandomWeightEvaluator, data, spaces
dataset = data.load("digits", train=64, validation=32, image_size=8)
space = spaces.get("macro", nodes=2, channels=2, input_shape=dataset.image_shape)
genomes = space.sample(jax.random.key(0), 5)
for devices in (jax.devices(), jax.devices()[:1]):
    scores = RandomWeightEvaluator(space, dataset, calibration_images=32, devices=devices)(jax.random.key(1), genomes)
    found = [scores.loo_error, scores.validation_error, scores.loo_squared_error, scores.log_evidence]
    print(json.dumps([len(devices), [each.tolist() for each in found]]))
"""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8",
    }
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    (many, eight), (single, one) = map(json.loads, ended.stdout.splitlines())
    assert (many, single) == (8, 1)
    np.testing.assert_allclose(eight, one, rtol=1e-4)


def test_bfloat16_rounds_the_maps_and_little_else(evaluate, space, dataset, genomes):
    half = RandomWeightEvaluator(space, dataset, calibration_images=32, precision="bfloat16")
    ours, exact = (each.features(jax.random.key(0), genomes) for each in (half, evaluate))
    assert {leaf.dtype.name for name, leaf in half.forward._maps[0].items() if name != "features"} == {"bfloat16"}
    assert ours.dtype == np.float32
    for one, other in zip(ours, exact, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    assert np.abs(ours - exact).max() > 1e-3


def test_no_compilation_after_the_first_call(evaluate, space):
    first, others = (np.asarray(space.sample(jax.random.key(seed), n)) for seed, n in ((1, 6), (2, 17)))
    evaluate(jax.random.key(0), first)
    compilations = []

    def listen(event, duration, **kwargs):
        if "backend_compile" in event:
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x * 3.25)(1.5)
        assert len(compilations) == 1
        evaluate(jax.random.key(0), others)
        evaluate(jax.random.key(5), others[:3])
        assert len(compilations) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_seeds_are_averaged(space, dataset, genomes):
    evaluate, single = (
        RandomWeightEvaluator(space, dataset, seeds=seeds, calibration_images=32).forward for seeds in (2, 1)
    )
    averaged = evaluate(jax.random.key(3), genomes).values["loo_error"]
    single(jax.random.key(3), genomes)
    [(members, program, rows)] = evaluate.programs(np.asarray(space.canonical(genomes)))
    drawn = evaluate._initialise(jax.random.split(jax.random.key(3), 2))
    draws = []
    for draw in range(2):
        kernels, keys = jax.tree.map(lambda x, draw=draw: x[draw : draw + 1], drawn)
        draws.append(np.asarray(single._run(single._evaluate, program, kernels, keys)["loo_error"])[0, rows])
    np.testing.assert_allclose(averaged[members], np.mean(draws, 0), atol=1e-4)
    assert not np.array_equal(*draws)


def test_the_key_decides(evaluate, genomes):
    first, again, other = (evaluate(jax.random.key(seed), genomes).log_evidence for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).all()


def test_an_interrupted_call_leaves_the_next_one_as_it_was(evaluate, genomes, monkeypatch):
    before = evaluate(jax.random.key(0), genomes)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate.forward, "_evaluate", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            evaluate(jax.random.key(0), genomes)
    assert (evaluate(jax.random.key(0), genomes).loo_error == before.loo_error).all()


def test_the_maps_go_with_the_evaluator(space, dataset, genomes):
    evaluate = RandomWeightEvaluator(space, dataset)
    evaluate(jax.random.key(0), genomes)
    maps = [weakref.ref(leaf) for leaf in jax.tree.leaves(evaluate.forward._maps)]
    assert maps
    assert all(each() is not None for each in maps)
    gc.disable()
    try:
        del evaluate
        assert all(each() is None for each in maps)
    finally:
        gc.enable()


def test_isomorphic_genomes_get_the_same_scores(evaluate, space):
    texts = ("100010001000", "001001001000")
    scores = evaluate(jax.random.key(0), np.stack([space.from_string(text) for text in texts]))
    assert scores.loo_squared_error[0] == scores.loo_squared_error[1]


def test_images_of_nan_fail_every_network_and_are_counted(space, dataset, genomes):
    images = dataset.train_images.copy()
    images[50, 3, 3] = np.nan
    broken = dataclasses.replace(dataset, train_images=images)
    scores = RandomWeightEvaluator(space, broken, seeds=2, calibration_images=32)(jax.random.key(0), genomes)
    assert (scores.failed == 2).all()
    assert (scores.error == 100).all()
    assert np.isposinf(scores.loo_squared_error).all()


@pytest.mark.slow
def test_a_dead_network_is_worst_and_changes_nothing_of_its_neighbours(dataset):
    """No path leads through these cells of NAS-Bench-201, so they have no row of features."""
    space = spaces.get("nasbench201", channels=4, cells=1, input_shape=dataset.image_shape)
    alive = np.array([[1, 1, 1, 1, 1, 1], [3, 0, 2, 0, 0, 3], [0, 0, 0, 2, 0, 0]])
    dead = np.array([[0, 0, 0, 0, 0, 0], [3, 0, 2, 0, 0, 0]])
    evaluate = RandomWeightEvaluator(space, dataset, seeds=2, genomes_per_program=6, calibration_images=32)
    together = evaluate(jax.random.key(0), np.concatenate([alive[:1], dead, alive[1:]]))
    apart, nothing = (evaluate(jax.random.key(0), genomes) for genomes in (alive, dead))
    for name in (*RWE_SCORES, "failed"):
        assert (getattr(together, name)[[0, 3, 4]] == getattr(apart, name)).all()
        assert (getattr(together, name)[[1, 2]] == getattr(nothing, name)).all()
    assert (apart.failed == 0).all()
    assert (apart.loo_error < 100).all()
    assert (nothing.failed == 2).all()
    assert (nothing.loo_error == 100).all()
    assert (nothing.validation_error == 100).all()
    assert np.isposinf(nothing.loo_squared_error).all()
    assert np.isneginf(nothing.log_evidence).all()


@pytest.mark.parametrize("score", RWE_SCORES)
def test_each_score_can_rank_and_lies_below_its_reference(evaluate, space, dataset, genomes, score):
    reference = RandomWeightEvaluator(space, dataset, score=score).reference
    scores = dataclasses.replace(evaluate(jax.random.key(0), genomes), score=score)
    sign = -1 if score == "log_evidence" else 1
    assert (scores.objective == sign * getattr(scores, score)).all()
    assert (scores.objective < reference).all()
    expected = scores.validation_error if score == "validation_error" else scores.loo_error
    assert (scores.error == expected).all()


def test_lowers_for_every_platform(evaluate):
    exported = evaluate.export(4, ("cpu", "cuda", "tpu"))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    scores, maps = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    assert len(scores) == 5
    lent = jax.tree.unflatten(exported.in_tree, exported.in_avals)[0][-1]
    assert jax.tree.map(np.shape, maps) == jax.tree.map(np.shape, lent)


@pytest.mark.parametrize(("precision", "rounded"), [("float32", 0), ("tensorfloat32", 1)])
def test_accelerators_round_no_factor_unless_they_may(space, dataset, precision, rounded):
    """Of products and convolutions, which they compute from fewer bits where no precision is asked for."""
    exported = RandomWeightEvaluator(space, dataset, precision=precision).export(4, ("cuda",))
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", exported.mlir_module())
    full = [line for line in products if line.count("HIGHEST") == 2]
    assert len(full) > 5
    assert (len(full) < len(products)) == rounded


@pytest.mark.slow
def test_precision_follows_the_device_unless_it_is_named(space, dataset):
    def bits(**options):
        forward = ForwardPass(space, dataset, [estimators.FORWARD["rwe"]], calibration_images=32, **options)
        text = forward.export(4, ("tpu",)).mlir_module()
        return "xbf16>" in text, len(re.findall("precision = .HIGHEST", text))

    tpu, gpu = (DeviceKind(name, "made up", 2**33) for name in ("tpu", "gpu"))
    assert bits(kind=tpu)[0]
    assert not bits(kind=tpu, precision="float32")[0]
    assert not bits(kind=gpu)[0]
    assert 0 < bits(kind=gpu)[1] < bits(kind=gpu, precision="float32")[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"score": "accuracy"}, "score 'accuracy' is unknown"),
        ({"seeds": 0}, "seeds is 0"),
        ({"genomes_per_program": 0}, "genomes_per_program is 0"),
        ({"images_per_batch": -1}, "images_per_batch is -1"),
        ({"calibration_images": 0}, "calibration_images is 0"),
        ({"precision": "float16"}, "precision 'float16' is unknown"),
    ],
)
def test_bad_arguments_are_one_sentence(space, dataset, options, sentence):
    with pytest.raises(InputError, match=sentence):
        RandomWeightEvaluator(space, dataset, **options)


def test_a_space_for_other_images_is_refused(dataset):
    with pytest.raises(InputError, match="pass input_shape"):
        RandomWeightEvaluator(spaces.get("macro"), dataset)


def test_floats_are_no_genomes(evaluate, space, dataset, genomes):
    floats = np.asarray(genomes, np.float32)
    nwot, macs = (estimators.get(name, space, dataset) for name in ("nwot", "macs"))
    for score in (evaluate, evaluate.features, nwot, macs):
        with pytest.raises(InputError, match="genomes is float32, but genes are integers: round it"):
            score(jax.random.key(0), floats)
    with pytest.raises(InputError, match="genome is float32"):
        networks.build(space, floats[0])


def test_integers_of_any_width_are_taken(evaluate, genomes):
    expected = evaluate(jax.random.key(0), genomes).error
    for dtype in (np.uint8, np.int64):
        np.testing.assert_array_equal(evaluate(jax.random.key(0), np.asarray(genomes, dtype)).error, expected)
