"""What every search space offers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int

from rwejax.errors import InputError

SIZE_OPTIONS = ("nodes", "layers", "cells", "channels")
"""The options of spaces that are options of the commands too."""

Genomes = Int[Array, "n genes"] | Int[np.ndarray, "n genes"]


def integer_genomes(genomes: Any) -> Int[np.ndarray, "..."]:
    """One genome or several as a numpy array of int32.

    Args:
        genomes: integers of any width, as JAX or as numpy arrays.

    Raises:
        InputError: they are floats, which would be cut off.
    """
    found = np.asarray(genomes)
    if found.dtype.kind not in "iub":
        raise InputError(f"genomes is {found.dtype}, but genes are integers: round it and give it as int32")
    return found.astype(np.int32)


@runtime_checkable
class Space(Protocol):
    """A search space: genomes, what they mean, and what they cost. No weights, no images.

    A genome is an int32 vector; everything here takes and returns whole populations, as JAX or as numpy arrays.
    """

    name: ClassVar[str]

    proxy_sizes: ClassVar[Mapping[str, int]]
    """Sizes of the networks that a search looks at where no others are named, as options of the space.

    They are small, since a proxy only has to rank. A size is one of `SIZE_OPTIONS`. A space may also have
    `digits_sizes`, which come before these on the embedded digits.
    """

    default_estimator: ClassVar[str]
    """The estimator whose choice in the space is the best network once it is trained, see docs/estimator.md."""

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
        """The text form of one genome."""

    def from_string(self, text: str) -> Int[np.ndarray, " genes"]:
        """The genome of a text; a `ValueError` says where a bad text goes wrong."""
