"""What is known of networks without training, as a table whose columns are compared by their ranks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rwejax.spaces import Space, counts
from rwejax.spaces.base import Genomes

Values = Float[np.ndarray, " n"]


class Table(NamedTuple):
    """What is known of networks without training. Row i of everything is one network.

    Only the order within a column counts. Infinite values, as dead networks have, are its ends; NaN is minus infinity.

    Attributes:
        prior: the score that is trusted beforehand; higher is better.
        scores: of untrained networks, and costs; their direction is found from the labels.
        counts: what the space counts of them.
    """

    prior: Values
    scores: Float[np.ndarray, "n scores"]
    counts: Float[np.ndarray, "n counts"]


def tabulate(space: Space, genomes: Genomes, scores: Mapping[str, Values], prior: Values) -> Table:
    """The table of some genomes.

    Args:
        space: the search space.
        genomes: (n, genes) int32, a population.
        scores: of the genomes by name, and their costs.
        prior: the score that is trusted beforehand, higher being better.

    Raises:
        InputError: the genomes are none of the space.
    """
    return Table(np.asarray(prior, float), *(_matrix(each, len(prior)) for each in (scores, counts(space, genomes))))


def quantiles(values: Float[np.ndarray, "n columns"], reference: Float[np.ndarray, "m columns"]) -> Any:
    """The normal quantile of each value among those of its column; equal values share one.

    Args:
        values: any; NaN counts as minus infinity.
        reference: the columns to compare with, each sorted and without NaN.
    """
    from scipy.special import ndtri  # takes a while to import

    values = np.where(np.isnan(values), -np.inf, values)
    below, up_to = (
        np.stack([np.searchsorted(known, column, side) for known, column in zip(reference.T, values.T, strict=True)], 1)
        for side in ("left", "right")
    )
    share = (below + up_to) / (2 * len(reference))
    return ndtri(np.clip(share, 0.5 / len(reference), 1 - 0.5 / len(reference)))


def columns_of(table: Table) -> Float[np.ndarray, "n columns"]:
    """All columns side by side, the prior first; minus infinity for NaN."""
    columns = np.concatenate([np.asarray(table.prior, float)[:, None], table.scores, table.counts], axis=1)
    return np.where(np.isnan(columns), -np.inf, columns)


def _matrix(columns: Mapping[str, Any], rows: int) -> Float[np.ndarray, "n columns"]:
    return np.array([*columns.values()], float).reshape(len(columns), rows).T
