"""Which images go where: a fixed test part, and train and validation subsets that hold the classes equally often."""

import numpy as np
from jaxtyping import Integer

Labels = Integer[np.ndarray, " images"]
Rows = Integer[np.ndarray, " rows"]

HOLD_OUT_SEED = 20211011  # a constant: no seed of the user's may move an image out of the test part


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
