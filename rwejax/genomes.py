"""Populations from outside: integers within the bounds of their space, or one sentence.

An array indexed by a gene that is out of its range gives a number all the same, a wrong one. So whatever is public and
takes genomes looks at them here, on the host, once; inside a compiled function only shape and type are known.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from rwejax.errors import InputError


class Bounded(Protocol):
    """A space, as far as it says which genomes there are.

    One that has `largest` reads genes up to there, though it never draws any above `upper`.
    """

    @property
    def lower(self) -> Any:
        """(genes,) smallest value of each gene."""

    @property
    def upper(self) -> Any:
        """(genes,) largest value of each gene that is drawn, inclusive."""


def check_genomes(space: Bounded, genomes: Any, called: str = "genomes") -> Any:
    """A population as int32, if it is one of the space.

    Args:
        space: has the bounds.
        genomes: (n, genes) integers of any width, or truth values where no gene is above 1.
        called: what the caller's user knows them by.

    Returns:
        The same numbers, as a JAX array where one was given and else as a numpy array. Inside a transformation of JAX,
        and where an array lies on several hosts, its values are not looked at.

    Raises:
        InputError: they are no integers, have another shape, or a gene is out of its range; it says which.

    Examples:
        >>> from rwejax import spaces
        >>> check_genomes(spaces.get("macro", nodes=2), np.array([[0, 1, 1, 0, 0, 0], [1, 0, 0, 2, 1, 1]]))
        Traceback (most recent call last):
            ...
        rwejax.errors.InputError: genomes[1, 3] is 2: gene 3 of the macro space is 0 to 1
    """
    found = _integers(genomes, called)
    genes = len(space.lower)
    if found.ndim != 2 or found.shape[1] != genes:
        raise InputError(f"{called} has shape {found.shape}: give (n, {genes}), one genome of {_name(space)} a row")
    return _within(space, found, called)


def check_genome(space: Bounded, genome: Any, called: str = "genome") -> Int[np.ndarray, " genes"]:
    """One genome as a numpy array of int32, if it is one of the space.

    Args:
        space: has the bounds.
        genome: (genes,) integers of any width, or truth values where no gene is above 1.
        called: what the caller's user knows it by.

    Raises:
        InputError: as for `check_genomes`.
    """
    found = _integers(genome, called)
    genes = len(space.lower)
    if found.shape != (genes,):
        raise InputError(f"{called} has shape {found.shape}: give ({genes},), one genome of {_name(space)}")
    return np.asarray(_within(space, found, called))


def integer_genomes(genomes: Any, called: str = "genomes") -> Any:
    """Genomes of any shape as int32, whatever their values.

    Args:
        genomes: integers of any width or truth values, as an array or as nested sequences.
        called: what the caller's user knows them by.

    Raises:
        InputError: they are anything else; floats would be cut off.
    """
    return _int32(_integers(genomes, called))


def _integers(genomes: Any, called: str) -> Any:
    try:
        found = genomes if isinstance(genomes, jax.Array | np.ndarray) else np.asarray(genomes)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{called} is no array: give integers, one genome a row, all of one length") from error
    if jnp.issubdtype(found.dtype, np.inexact) and found.size:
        raise InputError(
            f"{called} is {found.dtype}{_broken(found, called)}, but genes are integers: round it and give it as int32"
        )
    if not any(jnp.issubdtype(found.dtype, kind) for kind in (np.integer, np.bool_)) and found.size:
        raise InputError(f"{called} is {found.dtype}, but genes are integers: give it as int32")
    return found


def _broken(found: Any, called: str) -> str:
    """Where the first number stands that is no integer."""
    if not _has_values(found):
        return ""
    values = np.asarray(found, np.complex128)
    places = np.argwhere(values != np.rint(values))
    if not len(places):
        return ""
    place = tuple(places[0].tolist())
    return f" where {_at(called, place)} is {values[place].real:g}"


def _at(called: str, place: tuple[int, ...]) -> str:
    return f"{called}[{', '.join(map(str, place))}]"


def _int32(found: Any) -> Any:
    return found if found.dtype == np.int32 else found.astype(np.int32)


def _within(space: Bounded, found: Any, called: str) -> Any:
    with jax.ensure_compile_time_eval():  # bounds that a property makes are no part of a function that is traced
        bounds = space.lower, getattr(space, "largest", space.upper)
    if not all(map(_has_values, (found, *bounds))):
        return _int32(found)
    values, lower, upper = map(np.asarray, (found, *bounds))
    # Mostly two numbers of the population say that all is well, where the comparison below takes four times as long.
    if values.dtype != bool and values.size and lower.max() <= values.min() and values.max() <= upper.min():
        return _int32(found)
    # Elsewhere it is a comparison's result that was taken for the genomes.
    if values.dtype == bool and values.size and upper.max() > 1:
        raise InputError(f"{called} is bool, but genes of {_name(space)} reach {upper.max()}: give it as int32")
    outside = (values < lower) | (values > upper)
    if outside.any():
        place = tuple(np.argwhere(outside)[0].tolist())
        gene = place[-1]
        raise InputError(
            f"{_at(called, place)} is {values[place]}: gene {gene} of {_name(space)} is {lower[gene]} to {upper[gene]}"
        )
    return _int32(found)


def _has_values(x: Any) -> bool:
    return not isinstance(x, jax.Array) or (not isinstance(x, jax.core.Tracer) and x.is_fully_addressable)


def _name(space: Bounded) -> str:
    name = getattr(space, "name", None)
    return f"the {name} space" if isinstance(name, str) else "the space"
