"""What evaluators say of images and labels that nobody should give them, and of images that are not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, spaces
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator, estimators, ridge_scores
from rwejax.evaluate.estimators import PerNetworkEstimator, jacob_cov, short_training, zen
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.racing import Race
from rwejax.evaluate.scoring import PopulationScorer

KEY = jax.random.key(0)
LOOK = [name for name in estimators.names() if name not in ("macs", "params")]


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=40, validation=20, image_size=8)


@pytest.fixture(scope="module")
def space(dataset):
    return spaces.get("nasbench201", cells=1, channels=2, input_shape=dataset.image_shape)


@pytest.fixture(scope="module")
def genomes(space):
    return np.asarray(space.canonical(np.array([[3, 1, 2, 1, 4, 3], [2, 0, 1, 3, 0, 2]], np.int32)))


def changed(dataset, part, place, value):
    """The dataset with one value of one array replaced."""
    array = getattr(dataset, part).copy()
    array[place] = value
    return dataclasses.replace(dataset, **{part: array})


def cast(part, function):
    return lambda dataset: dataclasses.replace(dataset, **{part: function(getattr(dataset, part))})


REFUSED = [
    (lambda d: changed(d, "train_labels", 3, 10), "train_labels has 10 for image 3: give classes from 0 to 9"),
    (lambda d: changed(d, "train_labels", 0, -1), "train_labels has -1 for image 0: give classes"),
    (lambda d: changed(d, "validation_labels", 19, 2**31 - 1), "validation_labels has 2147483647 for image 19"),
    (cast("train_labels", lambda labels: labels.astype(np.float32)), "train_labels is float32: give the number"),
    (cast("validation_labels", lambda labels: labels > 4), "validation_labels is bool: give the number"),
    (cast("train_labels", lambda labels: labels.astype(str)), "train_labels is <U"),
    (cast("train_labels", lambda labels: np.eye(10, dtype=np.int32)[labels]), r"train_labels has shape \(40, 10\)"),
    (cast("train_labels", lambda labels: labels[:-1]), r"train_labels has shape \(39,\): give one label for each of"),
    (cast("validation_images", lambda images: images[:-1]), r"validation_labels has shape \(20,\)"),
    (cast("validation_images", lambda images: images[:, :4]), r"validation_images has images of shape \(4, 8, 1\)"),
    (cast("validation_images", lambda images: images[..., 0]), r"validation_images has shape \(20, 8, 8\): give"),
    (cast("train_images", lambda images: images.astype(np.uint8)), "train_images is uint8: give standardised"),
    (cast("train_images", lambda images: images[:, :4]), r"the space is made for 10 classes of \(8, 8, 1\)"),
    (
        lambda d: dataclasses.replace(d, train_images=d.train_images[:0], train_labels=d.train_labels[:0]),
        "train_images is empty: give one image or more",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_every_evaluator_refuses_the_same(space, dataset, change, message):
    wrong = change(dataset)
    for name in LOOK:
        with pytest.raises(InputError, match=message):
            estimators.get(name, space, wrong)
    with pytest.raises(InputError, match=message):
        RandomWeightEvaluator(space, wrong)
    with pytest.raises(InputError, match=message):
        PerNetworkEstimator(space, wrong, zen.score, images=10)
    with pytest.raises(InputError, match=message):
        Race(space, wrong, 50, seeds=1)


@pytest.mark.parametrize(
    "change",
    [
        cast("train_labels", lambda labels: labels.astype(np.int64)),
        cast("train_labels", lambda labels: labels.astype(np.uint8)),
        cast("validation_labels", jnp.asarray),
        cast("train_images", lambda images: images.astype(np.float64)),
        cast("validation_images", jnp.asarray),
    ],
)
def test_other_numbers_of_the_same_values_are_the_same(space, dataset, change):
    found = checked(space, change(dataset))
    for part in ("train_images", "train_labels", "validation_images", "validation_labels"):
        expected, ours = getattr(dataset, part), getattr(found, part)
        assert type(ours) is np.ndarray
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)


def test_a_sound_dataset_is_not_copied(space, dataset):
    assert checked(space, dataset) is dataset


@pytest.mark.parametrize(
    ("features", "labels", "classes", "train", "message"),
    [
        (np.ones((4, 2)), [0, 1, 2, 1], 2, 2, "labels has 2 for image 2"),
        (np.ones((4, 2)), [0, 1, 0.5, 1], 2, 2, "labels is float64"),
        (np.ones((4, 2)), [0, 1, 1], 2, 2, r"labels has shape \(3,\)"),
        (np.ones(4), [0, 1, 1, 0], 2, 2, r"features has shape \(4,\)"),
        (np.ones((4, 2)), [0, 1, 1, 0], 2, 4, "train is 4 of 4 images"),
        (np.ones((4, 2)), [0, 1, 1, 0], 2, 1, "train is 1 of 4 images"),
    ],
)
def test_the_head_refuses_what_is_no_classification(features, labels, classes, train, message):
    with pytest.raises(InputError, match=message):
        ridge_scores(features.astype(np.float32), np.array(labels), classes, train)


@pytest.mark.parametrize("value", [np.nan, *(pytest.param(each, marks=pytest.mark.slow) for each in (np.inf, -np.inf))])
def test_no_estimator_scores_an_image_that_is_not_finite(space, dataset, genomes, value):
    wrong = changed(dataset, "train_images", (5, 2, 3, 0), value)
    names = LOOK if np.isnan(value) else ("fit_path", "nwot", "zen_score", "short_training", "rwe")
    forward = [name for name in names if name in estimators.FORWARD]
    found = estimators.together(forward, space, wrong)(KEY, genomes)
    found |= {name: estimators.get(name, space, wrong)(KEY, genomes) for name in names if name not in forward}
    assert {name: scores.tolist() for name, scores in found.items()} == dict.fromkeys(names, [-np.inf] * 2)


def test_a_population_of_images_that_are_not_finite_has_failed(space, dataset, genomes):
    wrong = changed(dataset, "train_images", (0, 0, 0, 0), np.nan)
    scored = PopulationScorer(space, wrong, ("rwe", "fit_path"), 1)(KEY, genomes)
    assert scored.failed.tolist() == [2, 2]  # once by either
    assert scored.objectives.tolist() == [[np.inf] * 2] * 2


@pytest.mark.slow
def test_scores_of_features_that_are_not_finite_are_nan(space, dataset, genomes):
    """Of one compiled score of three, since each alone takes as long; a mark in an image spoils the weights."""
    three = [module.score for module in (short_training, jacob_cov, zen)]
    marked = changed(dataset, "train_images", (0, 0, 0, 0), 9.0)

    def finite(net):
        factor = jnp.where(net.images[0, 0, 0, 0] == 9.0, jnp.nan, 1.0)
        spoilt = dataclasses.replace(net, params={name: factor * table for name, table in net.params.items()})
        return sum(jnp.isfinite(score(spoilt)).astype(jnp.float32) * 2**bit for bit, score in enumerate(three))

    def found(dataset):
        return PerNetworkEstimator(space, dataset, finite, images=20, pool=2)(KEY, genomes).tolist()

    assert found(dataset) == [7.0] * 2
    assert found(marked) == [0.0] * 2


def test_an_infinite_score_is_none(space, dataset, genomes, monkeypatch):
    infinite = PerNetworkEstimator(space, dataset, lambda net: jnp.float32(np.inf), images=10)
    assert infinite(KEY, genomes).tolist() == [-np.inf] * 2
    monkeypatch.setattr(estimators, "get", lambda *_, **__: lambda key, genomes: np.array([np.inf, 2.0]))
    scored = PopulationScorer(space, dataset, ("snip",), 1)(KEY, genomes)
    assert scored.objectives.tolist() == [[np.inf], [-2.0]]
    assert scored.failed.tolist() == [1, 0]
    assert scored.scores["snip"].tolist() == [-np.inf, 2.0]
