"""How much a front covers: the exact hypervolume of two or three objectives.

Zitzler, Thiele, "Multiobjective optimization using evolutionary algorithms: a comparative case study", PPSN V, 1998.
Two objectives take one sorted sweep. Three take one such sweep per slice of the third objective, O(n^2 log n).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from rwejax.errors import InputError
from rwejax.evolve.compiled import compiled

_SLICES_AT_ONCE = 64  # bounds the memory of three objectives to this many sweeps


@compiled()
def hypervolume(
    objectives: Real[Array | np.ndarray, "n m"], reference: Real[Array | np.ndarray, " m"]
) -> Float[Array, ""]:
    """The area (m = 2) or volume (m = 3) that the rows dominate, up to the reference point. Minimisation.

    Rows that are not strictly better than the reference in every objective, and rows with a NaN or an infinity, count
    nothing. Dominated and repeated rows are allowed. Sums run in the precision of the input, usually float32.

    Args:
        objectives: (n, m), one row a genome, m 2 or 3.
        reference: (m,) finite, the worst value of interest in each objective.

    Returns:
        A scalar in the product of the objectives' units; 0 where no row counts.

    Raises:
        InputError: if m is neither 2 nor 3.

    Examples:
        >>> import jax.numpy as jnp
        >>> float(hypervolume(jnp.array([[1.0, 2.0], [2.0, 1.0]]), jnp.array([3.0, 3.0])))
        3.0
    """
    m = jnp.shape(objectives)[1]
    if m not in (2, 3):
        raise InputError(f"hypervolume takes 2 or 3 objectives and was given {m}; choose the columns to measure.")
    dtype = jnp.result_type(objectives, float)
    points, reference = jnp.asarray(objectives, dtype), jnp.asarray(reference, dtype)
    counts = jnp.all(jnp.isfinite(points) & (points < reference), axis=1, keepdims=True)
    points = jnp.where(counts, points, reference)  # a point at the reference dominates nothing
    return _area(points, reference) if m == 2 else _volume(points, reference)


def _area(points: Float[Array, "n 2"], reference: Float[Array, " 2"]) -> Float[Array, ""]:
    points = points[jnp.argsort(points[:, 0])]
    return _area_of_sorted(points[:, 0], points[:, 1], reference)


def _area_of_sorted(x: Float[Array, " n"], y: Float[Array, " n"], reference: Float[Array, " 2"]) -> Float[Array, ""]:
    """Sums the strips between one x and the next; in each, the lowest y so far is the floor."""
    widths = jnp.append(x[1:], reference[0]) - x if x.size else x
    return jnp.sum(widths * (reference[1] - jax.lax.cummin(y)))


def _volume(points: Float[Array, "n 3"], reference: Float[Array, " 3"]) -> Float[Array, ""]:
    """Sums slices between one z and the next; in each, the points at or below it span an area."""
    x, y, z = points[jnp.argsort(points[:, 0])].T
    floors = jnp.sort(z)
    thickness = jnp.append(floors[1:], reference[2]) - floors if z.size else floors

    def area_at(floor: Float[Array, ""]) -> Float[Array, ""]:
        return _area_of_sorted(x, jnp.where(z <= floor, y, reference[1]), reference[:2])

    areas = jax.lax.map(area_at, floors, batch_size=_SLICES_AT_ONCE)
    return jnp.sum(areas * thickness)
