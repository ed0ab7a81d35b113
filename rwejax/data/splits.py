"""Which images go where: a fixed test part, and train and validation subsets that hold the classes equally often."""

import numpy as np
from jaxtyping import Integer

Labels = Integer[np.ndarray, " images"]
Rows = Integer[np.ndarray, " rows"]

HOLD_OUT_SEED = 20211011  # a constant: no seed of the user's may move an image out of the test part


def sizes(
    available: int,
    classes: int,
    train: int | None,
    validation: int | None,
    most: tuple[int, int] | None = None,
    separate: int | None = None,
) -> tuple[int, int]:
    """How many images to train and to validate on, where the user did not say.

    Args:
        available: images that can be drawn.
        classes: the number of classes, each of which is to have an image in both.
        train: images to train on, if that was said.
        validation: images to validate on, if that was said.
        most: images to train and to validate on of a set that is large enough; a smaller one gives four fifths and one
            fifth. None: all but a tenth, and a tenth.
        separate: images of a validation split of its own, which takes none of those available.
    """
    if separate is not None:
        given = separate if validation is None else validation
        if validation is None and most is not None:
            given = min(separate, max(most[1], classes))
        return _default(train, available if most is None else min(available, max(most[0], classes))), given
    if most is None:
        validation = _default(validation, max(available // 10, classes))
        return _default(train, available - validation), validation
    if train is None:
        left = available - (max(available // 5, classes) if validation is None else validation)
        train = min(left, max(most[0], classes))
    return train, _default(validation, min(available - train, max(most[1], classes)))


def _default(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def draw(
    labels: Labels, classes: int, train: int, validation: int, seed: int
) -> tuple[Integer[np.ndarray, " train"], Integer[np.ndarray, " validation"]]:
    """Draws two disjoint, class-balanced subsets.

    Args:
        labels: class of every image, in [0, classes).
        classes: the number of classes.
        train: images in the first subset.
        validation: images in the second subset; train + validation <= len(labels).
        seed: the draw is a function of it.

    Returns:
        Rows of the train subset, any prefix of which is balanced as well, and rows of the validation subset.
    """
    rng = np.random.default_rng(seed)
    # Keeping back validation's part of every class lets a class too small for both serve both. At least
    # len(labels) * train / (train + validation) >= train images remain.
    counts = np.bincount(labels, minlength=classes)
    reserve = np.minimum(-(-validation // classes), counts * validation // (train + validation))
    if validation:  # a class whose share rounds to nothing still gives one image, as long as train gets all of its own
        without = np.flatnonzero((reserve == 0) & (counts > 1))
        reserve[without[: max(0, len(labels) - train - int(reserve.sum()))]] = 1
    train_rows = _round_robin(labels, classes, rng, counts - reserve)[:train]
    rest = np.setdiff1d(np.arange(len(labels)), train_rows)
    validation_rows = rest[_round_robin(labels[rest], classes, rng)[:validation]]
    return train_rows, validation_rows


def hold_out(labels: Labels, classes: int) -> Rows:
    """A fixed fifth of the images for testing, as balanced as it can be without taking over a quarter of any class.

    A class of fewer than four images gives one.

    Args:
        labels: class of every image, in [0, classes).
        classes: the number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    rows = _round_robin(labels, classes, np.random.default_rng(HOLD_OUT_SEED), np.maximum(counts // 4, 1))
    return np.sort(rows[: max(classes, round(len(labels) / 5))])


def _round_robin(
    labels: Labels, classes: int, rng: np.random.Generator, limit: Integer[np.ndarray, " classes"] | None = None
) -> Rows:
    """Rows in random order, one of every class in turn; of each class no more than its limit."""
    shuffled = np.argsort(rng.random(len(labels)), kind="stable")
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels, minlength=classes)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.lexsort((rng.random(len(labels)), turn))  # by turn; within a turn the classes come in random order
    if limit is not None:
        order = order[turn[order] < limit[labels[by_class[order]]]]
    return by_class[order]
