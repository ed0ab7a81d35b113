"""Peak memory of activations: what a small device must have beside the weights.

The peak is taken over the schedule in which the plain network runs, without reordering (Lin et al., "MCUNet: tiny deep
learning on IoT devices", NeurIPS 2020, give the peak of activations as what bounds a network on a microcontroller).
"""

import math

import numpy as np
from jaxtyping import Float, Int

from rwejax import networks
from rwejax.evaluate.costs.chains import liveness_of, place_of
from rwejax.evaluate.costs.liveness import Liveness
from rwejax.genomes import check_genomes
from rwejax.networks.genome_rows import IMAGE, GenomeRow, genome_rows
from rwejax.spaces import Space

_BYTES = 4  # of a float32


class Memory:
    """Peak bytes of float32 activations for one image at inference; parameters and statistics do not count.

    Rows run in the order of the plain network. A map lives from the row that makes it to the last row that reads it,
    the image to its last reader. While a row runs, its sources and all other maps that are alive count, and the peak of
    what is alive inside the row, its result among it, as `rwejax.evaluate.costs.liveness` defines it. After the last
    row the pooled features and the logits count. Rows that nothing reads are never made. A network through which no
    path leads costs the image alone.

    Args:
        space: the space of the genomes, whose `input_shape` is the image's.
    """

    def __init__(self, space: Space) -> None:
        self._space, self._network = space, networks.network(space)
        self._image = _BYTES * math.prod(space.input_shape)

    def __call__(self, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        """Peak bytes of each genome's network."""
        genomes = check_genomes(self._space, genomes)
        if not len(genomes):
            return np.zeros(0)
        program, features = networks.lower(self._space, self._network, genomes, len(genomes))
        distinct, numbers = genome_rows(self._network, program, features)
        needs = {place: liveness_of(self._network, place) for place in set(map(place_of, distinct))}
        inside = [needs[place_of(row)] for row in distinct]
        return np.array([self._peak(distinct, inside, each) for each in numbers], float)

    def _peak(self, distinct: list[GenomeRow], inside: list[Liveness], numbers: list[int]) -> int:
        """Peak bytes of the network of some of the rows."""
        last = {source: number for number in numbers for source in distinct[number].sources}
        alive = peak = self._image
        for number in numbers:
            peak = max(peak, alive + inside[number].peak)
            alive += inside[number].result
            for source in set(distinct[number].sources):
                if last[source] == number:
                    alive -= self._image if source == IMAGE else inside[source].result
        return max(peak, alive + _BYTES * self._space.classes) if numbers else self._image
