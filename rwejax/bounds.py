"""The range of a number, declared where a config declares its field, for command line, files and API alike.

A bound from below is what makes sense; one from above is what no machine of today can hold or finish, so that a slip of
a finger is answered at once and not by an exhausted memory.
"""

import dataclasses
import typing
from typing import Annotated, Any

from rwejax.errors import InputError, quoted


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a number may be.

    Attributes:
        least: the smallest.
        most: the largest.
        low: what to give instead of too small a number, if more is to be said than the bound.
        high: what to give instead of too large a number, likewise.
        below: whether it must stay below `most`.
    """

    least: float
    most: float
    low: str = ""
    high: str = ""
    below: bool = False

    def check(self, name: str, value: Any) -> None:
        """Refuse a number that is out of bounds.

        Args:
            name: what it is.
            value: the number.

        Raises:
            InputError: it is too small, too large or no number.
        """
        if not value >= self.least:
            raise InputError(f"{name} is {quoted(value)}: give {self.low or f'{self.least} or more'}")
        if value > self.most or (self.below and value == self.most):
            limit = f"{'less than' if self.below else 'at most'} {self.most}"
            raise InputError(f"{name} is {quoted(value)}: give {self.high or limit}")


LARGEST_SEED = 2**31 - 1

Count = Annotated[int, Bounds(1, 10**9)]
"""Images, genomes and the like."""

Size = Annotated[int, Bounds(1, 2**16)]
"""A dimension of a network or an image."""

Margin = Annotated[int, Bounds(0, 2**16)]
"""Pixels of an image, or none."""

Seed = Annotated[int, Bounds(0, LARGEST_SEED, *[f"a seed from 0 to {LARGEST_SEED}"] * 2)]

Amount = Annotated[float, Bounds(0, 1e30)]
"""Of what has no natural end; larger ones are infinite in float32 before long."""

Share = Annotated[float, Bounds(0, 1, below=True)]


def check_bounds(config: Any) -> None:
    """Refuse numbers that are out of the bounds of their fields; a field that is None has no number.

    Args:
        config: a dataclass whose fields are declared with `Bounds`.

    Raises:
        InputError: a field is out of its bounds.
    """
    for name, bounds in _declared(type(config)).items():
        if (value := getattr(config, name)) is not None:
            bounds.check(name, value)


def _declared(kind: Any) -> dict[str, Bounds]:
    found: dict[str, Bounds] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        said = (each for part in (hint, *typing.get_args(hint)) for each in getattr(part, "__metadata__", ()))
        found.update((name, each) for each in said if isinstance(each, Bounds))
    return found
