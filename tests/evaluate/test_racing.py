import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwejax import RandomWeightEvaluator, data, spaces
from rwejax.errors import InputError
from rwejax.evaluate.racing import Earlier, Race, can_reach_front, predict

KEY = jax.random.key(0)
IMAGES = 60
NOTHING = Earlier(np.zeros(0), np.zeros(0), np.zeros(0))
OPTIONS = {"seeds": 1, "score": "loo_error"}


@pytest.fixture(scope="module")
def race():
    dataset = data.load("digits", train=80, validation=40)
    space = spaces.get("macro", nodes=3, channels=2, input_shape=dataset.image_shape)
    genomes = np.unique(space.canonical(np.asarray(space.sample(KEY, 12))), axis=0)
    return Race(space, dataset, IMAGES, **OPTIONS), space, dataset, genomes


def evaluator(space, dataset, calibration):
    return RandomWeightEvaluator(space, dataset, calibration_images=calibration)


@pytest.mark.slow
def test_without_earlier_genomes_all_see_all_images(race):
    evaluate, space, dataset, genomes = race
    found = evaluate(KEY, genomes, NOTHING)
    expected = evaluator(space, dataset, 256)(KEY, genomes)
    np.testing.assert_array_equal(found.objectives[:, 0], expected.loo_error)
    for name in ("loo_error", "validation_error", "loo_squared_error", "log_evidence"):
        np.testing.assert_array_equal(found.scores[name], getattr(expected, name))


def test_the_first_images_are_a_part_of_both_subsets(race):
    evaluate, space, dataset, genomes = race
    first = dataclasses.replace(
        dataset,
        train_images=dataset.train_images[:40],
        train_labels=dataset.train_labels[:40],
        validation_images=dataset.validation_images[:20],
        validation_labels=dataset.validation_labels[:20],
    )
    expected = evaluator(space, first, 32)(KEY, genomes)
    np.testing.assert_array_equal(evaluate(KEY, genomes, NOTHING).scores["race_error"], expected.loo_error)


def test_those_that_cannot_enter_are_foretold_and_the_others_are_scored_as_ever(race):
    evaluate, space, _, genomes = race
    whole = evaluate(KEY, genomes, NOTHING)
    macs = space.macs(genomes)
    earlier = Earlier(whole.scores["race_error"][:6], whole.objectives[:6, 0], macs[:6])
    found = evaluate(KEY, genomes[6:], earlier)
    predicted, spread = predict(found.scores["race_error"], earlier)
    enters = can_reach_front(predicted - spread, macs[6:], earlier)
    assert 0 < enters.sum() < len(enters)
    np.testing.assert_array_equal(found.objectives[:, 0], np.where(enters, whole.objectives[6:, 0], predicted))
    np.testing.assert_array_equal(np.isfinite(found.scores["loo_error"]), enters)
    np.testing.assert_array_equal(np.isfinite(found.scores["log_evidence"]), enters)


numbers = st.one_of(st.integers(0, 5).map(float), st.just(np.inf))


@given(st.lists(st.tuples(numbers, numbers), max_size=8), st.lists(st.tuples(numbers, st.integers(0, 5)), min_size=1))
def test_a_genome_may_enter_unless_somebody_is_as_good(earlier, hoped):
    whole, macs = np.array(earlier, float).reshape(-1, 2).T
    found = can_reach_front(*np.array(hoped, float).T, Earlier(whole, whole, macs))
    for (score, cost), enters in zip(hoped, found, strict=True):
        assert enters != any(each <= score and other <= cost for each, other in earlier if each < np.inf)


@given(st.lists(st.tuples(numbers, numbers), max_size=8))
def test_what_nobody_has_shown_is_not_foretold(earlier):
    first, whole = np.array(earlier, float).reshape(-1, 2).T
    found, spread = predict(np.array([3.0]), Earlier(first, whole, whole))
    shown = [(a, b) for a, b in earlier if a < np.inf and b < np.inf]
    if len(shown) < 2:
        assert (found, spread) == (3.0, np.inf)
    else:
        assert found[0] == pytest.approx(3 + np.mean([b - a for a, b in shown]))
        assert spread == pytest.approx(np.std([b - a for a, b in shown], ddof=1))


@pytest.mark.parametrize("images", [19, 120, 500])
def test_too_few_or_too_many_first_images_are_refused(race, images):
    _, space, dataset, _ = race
    with pytest.raises(InputError, match=f"race_images is {images} of 120 images of 10 classes"):
        Race(space, dataset, images, **OPTIONS)
