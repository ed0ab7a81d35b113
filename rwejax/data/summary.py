"""A set of images in a line or two, to be printed before it is used."""

from collections.abc import Mapping, Sequence

FEW = 100
"""Images of which one is more than a point of accuracy."""

UNEQUAL = 3
"""Times that one class is larger than another, from which an accuracy alone says little."""


def summarise(classes: int, counts: Mapping[str, int], left_out: str, shares: Sequence[int] = ()) -> str:
    """Images and classes in numbers.

    Args:
        classes: the number of classes.
        counts: images by split.
        left_out: what is not used, and why; "" if nothing.
        shares: images of each class, if they are known.

    Returns:
        Lines to be printed: one, another if something was left out, if classes differ much in size, and if accuracies
        are coarse.
    """
    parts = ", ".join(f"{count} {split}" for split, count in counts.items())
    lines = [f"{sum(counts.values())} images in {classes} classes: {parts}"]
    if left_out:
        lines.append(f"left out: {left_out}")
    if shares and max(shares) > UNEQUAL * min(shares):
        right = 100 * max(shares) / sum(shares)
        lines.append(
            f"classes of {min(shares)} to {max(shares)} images: always to say the largest is right in {right:.3g} %"
        )
    lines += [
        f"{count} {split} image{'s' * (count != 1)}: an accuracy in steps of {100 / count:.2g} points"
        for split, count in counts.items()
        if split != "train" and 0 < count < FEW
    ]
    return "\n".join(lines)
