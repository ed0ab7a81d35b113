"""Which host evaluates which genomes of a population, and the numbers of all hosts together."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax.runtime import collectives
from rwejax.spaces import Space


def share_out(space: Space, genomes: Int[np.ndarray, "n genes"]) -> list[Int[np.ndarray, " m"]]:
    """Which genomes each host takes: about as many multiply-adds each, neighbours that share rows together.

    Args:
        space: of the genomes.
        genomes: the population, in canonical form.

    Returns:
        For each host its rows of the population, ascending; none twice.
    """
    hosts = jax.process_count()
    order = np.lexsort(genomes.T[::-1])
    work = np.cumsum(np.asarray(space.macs(genomes), float)[order])
    ends = np.searchsorted(work, work[-1] * np.arange(1, hosts) / hosts) if hosts > 1 else []
    return [np.sort(part) for part in np.split(order, ends)]


def of_all_hosts(found: Float[np.ndarray, "... n"], shares: Sequence[Int[np.ndarray, " m"]]) -> Float[Any, "... n"]:
    """The numbers of all genomes, where each host has those of its share.

    Args:
        found: this host's; it is written to.
        shares: what `share_out` gave.
    """
    if len(shares) == 1:
        return found
    everywhere = collectives.every_host(found)
    for host, share in enumerate(shares):
        found[..., share] = everywhere[host][..., share]
    return found
