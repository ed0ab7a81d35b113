import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from rwejax.data import splits

unhurried = settings(deadline=None)  # the machine may be busy


def spread(labels, classes):
    counts = np.bincount(labels, minlength=classes)
    return counts.max() - counts.min()


@st.composite
def balanced_draws(draw):
    """Shuffled labels of equally large classes, and subsets that fit."""
    classes = draw(st.integers(2, 12))
    each = draw(st.integers(2, 30))
    labels = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.repeat(np.arange(classes), each))
    train = draw(st.integers(classes, classes * (each - 1)))
    validation = draw(st.integers(classes, classes * each - train))
    return labels, classes, train, validation, draw(st.integers(0, 2**31))


@st.composite
def any_draws(draw):
    """Labels of classes of any size, some perhaps empty, and subsets that fit."""
    classes = draw(st.integers(2, 8))
    labels = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=120)))
    train = draw(st.integers(1, len(labels) - 1))
    validation = draw(st.integers(1, len(labels) - train))
    return labels, classes, train, validation, draw(st.integers(0, 2**31))


@unhurried
@given(balanced_draws())
def test_both_subsets_are_balanced_within_one_image(case):
    labels, classes, *_ = case
    train, validation = splits.draw(*case)
    assert spread(labels[train], classes) <= 1
    assert spread(labels[validation], classes) <= 1


@unhurried
@given(balanced_draws())
def test_every_prefix_of_train_is_balanced_within_one_image(case):
    labels, classes, *_ = case
    train, _ = splits.draw(*case)
    counts = np.cumsum(labels[train][:, None] == np.arange(classes), axis=0)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


@unhurried
@given(any_draws())
def test_subsets_are_disjoint_and_as_large_as_asked(case):
    labels, _, train_count, validation_count, _ = case
    train, validation = splits.draw(*case)
    rows = np.concatenate([train, validation])
    assert (len(train), len(validation)) == (train_count, validation_count)
    assert len(np.unique(rows)) == len(rows)
    assert rows.min() >= 0
    assert rows.max() < len(labels)


@unhurried
@given(any_draws())
def test_a_seed_determines_the_draw(case):
    first, second = splits.draw(*case), splits.draw(*case)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@unhurried
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_seeds_differ(one, other):
    labels = np.arange(200) % 10
    same = np.array_equal(splits.draw(labels, 10, 50, 50, one)[0], splits.draw(labels, 10, 50, 50, other)[0])
    assert same == (one == other)


@unhurried
@given(balanced_draws(), st.integers(1, 100))
def test_train_does_not_depend_on_validation(case, other):
    labels, classes, train, validation, seed = case
    other = min(other, len(labels) - train)
    first, _ = splits.draw(labels, classes, train, validation, seed)
    second, _ = splits.draw(labels, classes, train, other, seed)
    # Where the two take nearly all images, which class gives its last ones must depend on what validation needs.
    same = classes * ((len(labels) - max(validation, other)) // classes)
    np.testing.assert_array_equal(first[:same], second[:same])


def test_a_small_class_serves_both_subsets_and_the_others_fill_up():
    labels = np.array([0] * 10 + [1] * 500 + [2] * 500)
    train, validation = splits.draw(labels, 3, 300, 100, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[train]), [8, 146, 146])
    assert np.bincount(labels[validation])[0] == 2
    assert spread(labels[validation][labels[validation] > 0] - 1, 2) <= 1


def test_all_images_of_an_unbalanced_set_can_be_drawn():
    labels = np.array([0] * 3 + [1] * 40 + [2] * 17)
    train, validation = splits.draw(labels, 3, 45, 15, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(60))


@unhurried
@given(any_draws())
def test_hold_out_takes_about_a_fifth_and_never_over_a_quarter_of_a_class(case):
    labels, classes, *_ = case
    counts = np.bincount(labels, minlength=classes)
    held = np.bincount(labels[splits.hold_out(labels, classes)], minlength=classes)
    assert (held <= np.maximum(counts // 4, 1)).all()
    assert held.sum() <= max(classes, round(len(labels) / 5))


def test_hold_out_is_balanced():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(7), 100))
    held = splits.hold_out(labels, 7)
    np.testing.assert_array_equal(np.bincount(labels[held]), [20] * 7)
