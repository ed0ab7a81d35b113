"""A row as a sum over its sources, and what comes after that sum.

A pass backwards takes the gradient in a row's map to that in the sum first. A loop over the sources that there are then
takes it on to each, and to the weights that the source was multiplied by. So nothing is computed of sources that are
not there, and one body is compiled whatever their number.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from rwejax.networks.modules import Images, Norm, Sources, Summed
from rwejax.networks.program import Group, Kind, Network


@dataclass(eq=False)
class Found(Exception):
    """A sum is recorded, and what its module does with it need not be traced.

    Attributes:
        singles: whether a single source is not summed as several are.
    """

    singles: bool


@dataclass(frozen=True)
class Recorded(Sources):
    """Sources whose sum is wanted.

    Attributes:
        sums: gets it when a module adds them up, which raises `Found`; one that reads a single source leaves it empty.
    """

    sums: list[Images] = field(default_factory=list)

    def add_up(self, function: Summed, *weights: Array, alone: Callable[[Images], Images] | None = None) -> Images:
        """Record the sum.

        Args:
            function: see `Sources.add_up`.
            weights: likewise.
            alone: likewise.

        Raises:
            Found: always.
        """
        self.sums.append(super().add_up(function, *weights, alone=alone))
        raise Found(alone is not None)


@dataclass(frozen=True, kw_only=True)
class Known(Sources):
    """Sources whose sum is known.

    Attributes:
        total: the sum.
    """

    total: Images

    def add_up(self, function: Summed, *weights: Array, alone: Callable[[Images], Images] | None = None) -> Images:
        """The sum.

        Args:
            function: see `Sources.add_up`.
            weights: likewise.
            alone: likewise.
        """
        return self.total


@dataclass(frozen=True, kw_only=True)
class Summand(Recorded):
    """One source, of which the summand is wanted.

    Attributes:
        block: its position among the slot's possible inputs.
        single: whether the row has no other source.
    """

    block: Int[Array, ""]
    single: bool

    def add_up(self, function: Summed, *weights: Array, alone: Callable[[Images], Images] | None = None) -> Images:
        """Record the summand.

        Args:
            function: see `Sources.add_up`.
            weights: likewise.
            alone: likewise.

        Raises:
            Found: always.
        """
        if self.single and alone is not None:
            self.sums.append(alone(self[0]))
        else:
            self.sums.append(function([self[0]], self.block[None], *weights))
        raise Found(alone is not None)


class Reading(NamedTuple):
    """What a kind makes of a row's sources.

    Attributes:
        total: the shape of their sum; None: it does not add them up.
        several: whether it reads more than the first in another way.
        singles: whether a single source is not summed as several are.
    """

    total: tuple[int, ...] | None
    several: bool = False
    singles: bool = False


def reading(network: Network, group: Group, kind: Kind, images: int) -> Reading:
    """How a kind reads. A row that has a single source at most adds nothing up.

    Args:
        network: the groups and buffers of the space.
        group: the kind's group, whose source says what a row reads.
        kind: the operation.
        images: of a batch.
    """
    if kind.unused or group.arity == 1:
        return Reading(None)
    return _reading(kind.module, network.buffers[group.source], group.arity, images)


@functools.cache
def _reading(module: nn.Module, shape: tuple[int, ...], arity: int, images: int) -> Reading:
    numbers: set[int] = set()
    singles = False

    def sums() -> list[Images]:
        maps = jnp.zeros((images, *shape), jnp.float32)

        def read(k: Any) -> Images:
            numbers.add(k if isinstance(k, int) else arity)  # which one, only a pass knows
            return maps

        sources = Recorded(read, jnp.zeros(arity, jnp.int32), jnp.int32(1))
        try:
            module.init(jax.random.key(0), sources, Norm.BATCH)
        except Found as found:
            nonlocal singles
            singles = found.singles
        return sources.sums

    with jax.enable_x64(False):
        found = jax.eval_shape(sums)
    return Reading(found[0].shape, singles=singles) if found else Reading(None, several=numbers > {0})
