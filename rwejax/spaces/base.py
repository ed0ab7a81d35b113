"""What every search space offers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int, Shaped

SIZE_OPTIONS = ("nodes", "layers", "cells", "channels")
"""The options of spaces that are options of the commands too."""

Genomes = Shaped[Array, "..."] | Shaped[np.ndarray, "..."] | Sequence[Any]
"""A population, (n, genes) integers. The type lets in anything else as well: `check_genomes` says what is wrong."""


@runtime_checkable
class Space(Protocol):
    """A search space: genomes, what they mean, and what they cost. No weights, no images.

    A genome is an int32 vector; everything here takes and returns whole populations, as JAX or as numpy arrays. What is
    no population of the space is an `InputError`: begin with `rwejax.genomes.check_genomes`.

    A space whose texts hold genes above `upper`, which are never drawn, says how far in `largest`. One that has a
    method `counts` says what can be counted of its networks, see `rwejax.spaces.counts`.
    """

    name: ClassVar[str]

    proxy_sizes: ClassVar[Mapping[str, int]]
    """Sizes of the networks that a search looks at where no others are named, as options of the space.

    They are small, since a proxy only has to rank. A size is one of `SIZE_OPTIONS`. A space may also have
    `digits_sizes`, which come before these on the embedded digits.
    """

    default_estimator: ClassVar[str]
    """The estimator whose choice in the space is the best network once it is trained, see docs/studies/scores.md."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""

    @property
    def classes(self) -> int:
        """Number of classes of the last linear layer."""

    @property
    def lower(self) -> Int[np.ndarray, " genes"]:
        """Smallest value of each gene."""

    @property
    def upper(self) -> Int[np.ndarray, " genes"]:
        """Largest value of each gene, inclusive."""

    def sample(self, key: jax.Array, n: int) -> Int[Array, "n genes"]:
        """`n` genomes, uniform over the gene values.

        Args:
            key: a random key.
            n: how many genomes.
        """

    def canonical(self, genomes: Genomes) -> Any:
        """One representative for all genomes that decode to the same network; the same kind of array comes back."""

    def macs(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Multiply-adds of the convolutions and linear layers for one image, int64."""

    def params(self, genomes: Genomes) -> Int[np.ndarray, " n"]:
        """Parameters, int64."""

    def to_string(self, genome: Any) -> str:
        """The text form of one genome: no reader of tables, YAML or JSON may take it for a number."""

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """The genome of a text; an `InputError` says where a bad text goes wrong."""
