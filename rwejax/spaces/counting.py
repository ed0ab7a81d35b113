"""What can be counted of networks without running them: operations, connections, and lengths of paths.

Such counts, by themselves or beside scores of untrained networks, predict the error of trained ones from few examples:
GRAF [1] counts operations, path lengths and node degrees. Each space counts what its genomes are made of.

[1] Kadlecová, Lukasik, Pilát, Vidnerová, Safari, Neruda, Hutter, "Surprisingly strong performance prediction with
    neural graph features", ICML 2024.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rwejax.genomes import check_genomes
from rwejax.spaces.base import Genomes, Space

Counts = dict[str, Int[np.ndarray, " n"]]


def counts(space: Space, genomes: Genomes) -> Counts:
    """What can be counted of each network, by name.

    Args:
        space: the search space. One that has no method `counts` gives the genes of the canonical genomes.
        genomes: (n, genes) int32, a population; numpy or JAX.

    Returns:
        Integers of each genome, equal for genomes that decode to the same network.

    Raises:
        InputError: the genomes are none of the space, which says where.

    Examples:
        >>> from rwejax import spaces
        >>> space = spaces.get("nasbench201")
        >>> cell = space.from_string("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
        >>> found = counts(space, cell[None])
        >>> int(found["nor_conv_3x3"][0]), int(found["depth"][0]), int(found["paths"][0])
        (2, 3, 2)
    """
    genomes = np.asarray(space.canonical(check_genomes(space, genomes)))
    own: Callable[[Any], Counts] | None = getattr(space, "counts", None)
    return own(genomes) if own is not None else {f"gene_{gene}": genomes[:, gene] for gene in range(genomes.shape[1])}


def occurrences(codes: Int[np.ndarray, "n places"], names: Sequence[str], prefix: str = "") -> Counts:
    """How often each code stands in each row.

    Args:
        codes: of the operations, indices of `names`.
        names: of the operations.
        prefix: in front of the names.
    """
    return {prefix + name: (codes == code).sum(1) for code, name in enumerate(names)}


def longest_paths(steps: Float[np.ndarray, "n nodes nodes"], sources: int = 1) -> Float[np.ndarray, "n nodes"]:
    """The length of the longest path to each node.

    Args:
        steps: `steps[g, i, j]` is the length of the edge by which node i reads the earlier node j; minus infinity where
            there is none.
        sources: so many of the first nodes are where paths begin.

    Returns:
        Lengths; minus infinity for a node that no path leads to.
    """
    lengths = np.full(steps.shape[:2], -np.inf)
    lengths[:, :sources] = 0
    for node in range(sources, steps.shape[1]):
        lengths[:, node] = (steps[:, node, :node] + lengths[:, :node]).max(-1)
    return lengths
