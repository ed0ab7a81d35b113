"""One pass, every forward score of it: against the networks one by one, in double precision, and against itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from rwejax.evaluate.forward import ForwardPass
from rwejax.evaluate.heads import ForwardScore
from rwejax.evaluate.scoring import PopulationScorer
from rwejax.networks import ActivationObserver, PerNetwork, codes
from rwejax.objectives import FORWARD_SCORES, RWE_SCORES, seen_together
from rwejax.runtime.device_kinds import DeviceKind
from tests.registered import compiled, slow

KEY = jax.random.key(3)
BATCH = 40
SIZES = {
    "macro": {"nodes": 3, "channels": 4},
    "micro": {"layers": 3, "channels": 2},
    "darts": {"layers": 3, "channels": 2},
    "nasbench201": {"cells": 1, "channels": 4},
    "nasbench_macro": {"channels": 4},
}
ALL = [name for name in FORWARD_SCORES if name != "rwe_softmax"]


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=60, validation=30, image_size=8)


def make(dataset, name="macro", scores=ALL, **options):
    space = spaces.get(name, **SIZES[name], input_shape=dataset.image_shape, classes=dataset.classes)
    found = [estimators.FORWARD[each] for each in scores]
    return ForwardPass(space, dataset, found, **{"calibration_images": BATCH, "three_keys": True, **options})


def population(space, count=6):
    return np.asarray(space.sample(jax.random.key(8), count))


@pytest.fixture(scope="module")
def whole(dataset):
    evaluate = make(dataset)
    genomes = population(evaluate.space)
    return evaluate, genomes, evaluate(KEY, genomes)


def one_by_one(space, dataset, genomes, kernels):
    """Features and agreements of ReLUs of each network by itself, with the same kernels."""
    network = networks.network(space, 2)
    sizes = codes.relus(network)

    def add(seen, x, counts):
        size = codes.ReLU(x.shape[1], int(np.prod(x.shape[1:])))
        units = np.random.default_rng(size.units).choice(size.units, size.sampled, replace=False)
        signs = jnp.where(x.reshape(len(x), -1)[:, np.sort(units)] > 0, 1, -1).astype(jnp.float32)
        agree, relus = seen[size]
        return {**seen, size: (agree + jnp.where(counts, (size.sampled + signs @ signs.T) / 2, 0), relus + counts)}

    def look(programs, images):
        single = PerNetwork(network)
        observer = ActivationObserver({size: (jnp.zeros((len(images),) * 2), jnp.zeros(())) for size in sizes}, add)
        buffers, _, seen, _ = single.forward(programs, single.weights(programs, kernels), images, observer)
        features = buffers["features"][0]
        blocks = getattr(space, "blocks", 1)  # of a cell's output; of each four parts of the map, equally large
        mean = features.reshape(len(images), blocks, 4, -1).mean(2).reshape(len(images), -1)
        return {1: mean, 2: features}, list(seen.values())

    # The normalisation asks for the axis over which images are split.
    look = jax.jit(jax.vmap(look, in_axes=(None, None), axis_name=networks.IMAGES_AXIS, axis_size=1))
    for genome in genomes:
        program, (row,) = networks.lower(space, network, space.canonical(genome[None]), 1)
        if row == networks.ABSENT:
            yield None
            continue
        found, seen = jax.tree.map(lambda x: np.asarray(x[0], float), look(program, dataset.train_images[:BATCH]))
        yield found, dict(zip(sizes, seen, strict=True))


def centred(kernel):
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()


def gram(features):
    standardised = features - features.mean(0)
    std = standardised.std(0)
    standardised = standardised[:, std > 1e-6 * np.abs(features.mean(0))] / std[std > 1e-6 * np.abs(features.mean(0))]
    return standardised @ standardised.T / max(1, standardised.shape[1])


def error(kernel, targets, strength):
    left = strength * np.linalg.solve(kernel + strength * np.eye(len(kernel)), targets)
    return np.square(left).sum() / len(targets)


def path(kernel, targets):
    kernel = kernel * len(kernel) / np.trace(kernel)
    return np.mean([error(kernel, targets, strength) for strength in np.geomspace(0.01, 1, 5)])


def expected_scores(features, seen, targets):
    present = {size: (agree, relus) for size, (agree, relus) in seen.items() if relus}
    heights = []
    for height in {size.height for size in present}:
        of_height = [(agree / size.sampled, relus) for size, (agree, relus) in present.items() if size.height == height]
        heights.append(sum(agree for agree, _ in of_height) / sum(relus for _, relus in of_height))
    alike = centred(np.mean(heights, 0))
    determinant = sum(agree * size.units / size.sampled for size, (agree, _) in present.items())
    return {
        "fit_path_features": -path(gram(features[1]), targets),
        "fit_path_codes": -path(alike, targets),
        "rwf_features": -error(gram(features[2]), targets, 1),
        "rwf_codes": -error(alike, targets, 1),
        "nwot": np.linalg.slogdet(determinant)[1],
    }


@pytest.mark.parametrize("name", slow(SIZES, {*SIZES} - {"nasbench201"}))
def test_scores_are_those_of_the_networks_one_by_one(dataset, name):
    # On one device, as the other engine: a unit whose input is constant may be on or off by the order of a sum.
    evaluate = make(dataset, name, ["fit_path", "rwf", "nwot"], devices=jax.devices()[:1])
    genomes = population(evaluate.space, 8)
    found = evaluate(KEY, genomes).values
    targets = np.eye(10)[dataset.train_labels[:BATCH]]
    targets -= targets.mean(0)
    alive = 0
    for n, seen in enumerate(one_by_one(evaluate.space, dataset, genomes, evaluate.kernels(KEY))):
        if seen is None:
            assert all(values[n] == -np.inf for values in found.values())
            continue
        alive += 1
        for score, value in expected_scores(*seen, targets).items():
            assert found[score][n] == pytest.approx(value, rel=1e-4), score
    assert alive >= 4
    for score in ("fit_path", "rwf"):
        np.testing.assert_allclose(found[score], found[f"{score}_features"] + found[f"{score}_codes"], rtol=1e-6)


def test_every_score_has_its_name(whole):
    assert set(whole[2].values) == {name for each in ALL for name in FORWARD_SCORES[each]}
    for name, names in FORWARD_SCORES.items():  # other tests register estimators of their own
        assert estimators.FORWARD[name].names == names


@pytest.mark.slow
def test_a_score_is_the_same_whatever_else_is_scored(dataset, whole):
    _, genomes, found = whole
    for names in (["fit_path"], ["nwot", "rwf"], ["rwe"]):
        for name, values in make(dataset, scores=names)(KEY, genomes).values.items():
            np.testing.assert_allclose(values, found.values[name], rtol=1e-5)


def test_chunks_of_genomes_change_no_bit(dataset, whole):
    _, genomes, found = whole
    for size in (1, 4):
        pieces = make(dataset, genomes_per_program=size)(KEY, genomes)
        for name, values in pieces.values.items():
            assert (values == found.values[name]).all(), name


def test_what_a_kind_of_device_is_given_and_how_many_change_last_bits_only(dataset):
    """The way of an accelerator, all images, several rows of a kind and several heads at once; a CPU's, on two."""
    evaluate = make(dataset, "nasbench201", images_per_batch=8)
    wide = make(dataset, "nasbench201", kind=DeviceKind("gpu", "large", 2**33), devices=jax.devices()[:1])
    genomes = population(evaluate.space)
    found = evaluate(KEY, genomes)
    for score, values in wide(KEY, genomes).values.items():
        # An error is a count of images, and one image may lie on a boundary.
        tolerance = {"atol": 100 / 90 + 1e-3} if RWE_SCORES.get(score) and score.endswith("_error") else {"rtol": 1e-3}
        np.testing.assert_allclose(values, found.values[score], err_msg=score, **tolerance)
    assert (wide.chunk_sizes, evaluate.chunk_sizes) == ((12, 3), (1,))
    assert (wide.heads_at_once, evaluate.heads_at_once) == (6, 1)
    assert [len(each.images.first) for each in (wide, evaluate)] == [90, BATCH]


@pytest.mark.parametrize(
    "names",
    [
        ALL,
        ["rwe", "rwe_softmax"],
        *(pytest.param([name], marks=pytest.mark.slow) for name in ("fit_path", "rwf", "nwot")),
    ],
    ids=",".join,
)
def test_nothing_compiles_after_the_first_population(dataset, names):
    evaluate = make(dataset, scores=names, seeds=2)
    genomes = population(evaluate.space, 9)
    evaluate(KEY, genomes[:5])
    compilations = []

    def listen(event, duration_secs, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        evaluate(KEY, genomes[5:])
        evaluate(jax.random.key(5), genomes)
        alike = make(dataset, scores=names, seeds=2)
        np.testing.assert_array_equal(alike(KEY, genomes[:5]).failed, 0)
        assert compilations == []
        jax.jit(lambda x: x * 3.5)(1.5)
        assert len(compilations) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_seeds_of_one_call_are_averaged(dataset, whole):
    """Each draw alone, and both."""
    _, genomes, _ = whole
    both, single = make(dataset, seeds=2), make(dataset)
    averaged = both(KEY, genomes).values
    drawn = both._initialise(jax.random.split(KEY, 2))
    alone = []
    for draw in range(2):
        single._initialise = lambda _, draw=draw: jax.tree.map(lambda x: x[draw : draw + 1], drawn)
        alone.append(single(KEY, genomes).values)
    for name, values in averaged.items():
        np.testing.assert_allclose(values, np.mean([each[name] for each in alone], 0), rtol=1e-5)
        assert (alone[0][name] != alone[1][name]).any()


def test_a_dead_network_and_nan_touch_no_neighbour(dataset):
    evaluate = make(dataset, "nasbench201", genomes_per_program=6)
    alive = np.array([[1, 1, 1, 1, 1, 1], [3, 0, 2, 0, 0, 3], [0, 0, 0, 2, 0, 0]])
    dead = np.zeros((2, 6), int)
    together, apart = evaluate(KEY, np.concatenate([dead[:1], alive, dead[1:]])), evaluate(KEY, alive)
    for name, values in apart.values.items():
        assert np.isfinite(values).all(), name
        assert (together.values[name][1:4] == values).all(), name
    worst = {name: estimators.FORWARD[each].worst.get(name, -np.inf) for each in ALL for name in FORWARD_SCORES[each]}
    assert {name: values[[0, 4]].tolist() for name, values in together.values.items()} == {
        name: [value] * 2 for name, value in worst.items()
    }
    assert together.failed.tolist() == [1, 0, 0, 0, 1]
    kernels = evaluate._initialise
    evaluate._initialise = lambda keys: (spoil(kernels(keys)[0]), kernels(keys)[1])
    found = evaluate(KEY, alive)
    assert found.failed.tolist() == [0, 1, 0], "the second alone has a 3x3 convolution"
    assert all((found.values[name][[0, 2]] == values[[0, 2]]).all() for name, values in apart.values.items())


def spoil(kernels):
    """Make the kernels of all 3x3 convolutions on edges NaN."""
    return {
        group: {
            kind: jax.tree.map(lambda leaf: leaf * np.nan, tree) if kind == "nor_conv_3x3" else tree
            for kind, tree in kinds.items()
        }
        for group, kinds in kernels.items()
    }


@pytest.mark.parametrize("name", compiled(SIZES))
def test_lowers_for_accelerators(dataset, name):
    exported = make(dataset, name).export(4, ("cuda", "tpu"))
    assert exported.platforms == ("cuda", "tpu")
    values, _ = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    assert {each.shape for each in values.values()} == {(1, 4)}


def test_images_behind_the_batch_are_looked_at_by_heads_alone(dataset, whole):
    _, genomes, found = whole
    changed = dataclasses.replace(dataset, validation_images=dataset.validation_images[::-1])
    other = make(changed)(KEY, genomes)
    for name, values in found.values.items():
        same = (other.values[name] == values).all()
        assert same == (name not in RWE_SCORES), name


def test_what_is_seen_together():
    assert seen_together(("macs",)) == ()
    assert seen_together(("rwe_softmax", "nwot")) == ("rwe_softmax", "nwot", "rwe", "rwf", "fit_path")


def spread(net):
    return {"feature_spread": net.batch().std(0).sum()}


SPREAD = ForwardScore(spread, worst={"feature_spread": -np.inf})


def test_a_head_of_ones_own_is_scored_beside_others(dataset, whole):
    estimators.register_estimator("feature_spread", SPREAD)
    evaluate, genomes, found = whole
    together = estimators.together(("feature_spread", "nwot"), evaluate.space, dataset, images=BATCH)(KEY, genomes)
    np.testing.assert_allclose(together["nwot"], found.values["nwot"], rtol=1e-5)
    pooled = make(dataset, scores=["fit_path"]).features(KEY, genomes)[:, :BATCH]
    np.testing.assert_allclose(together["feature_spread"], pooled.std(1).sum(1), rtol=1e-4)
    estimators.register_estimator("feature_spread", ForwardScore(spread, worst={"feature_spread": 0.0}))
    with pytest.raises(InputError, match="'feature_spread' has the name of something else"):
        estimators.register_estimator("feature_spread", ForwardScore(abs, worst={"feature_spread": 0.0}))
    with pytest.raises(InputError, match="'wide' gives feature_spread: give one number of its own name"):
        estimators.register_estimator("wide", SPREAD)
    scorer = PopulationScorer(evaluate.space, dataset, ("feature_spread",), 1, calibration_images=BATCH)
    assert set(scorer(KEY, genomes).scores) == {"feature_spread"}
