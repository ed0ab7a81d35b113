"""A genome's network as an ordinary Flax module, to be trained: its own parts, its own weights, its own statistics.

It is made of the same operations as the executor's rows, and read off the program of a population of one.
"""

from typing import NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from rwejax.networks.program import Network, Program
from rwejax.networks.slots import Images, Norm, Sources


class PlainRow(NamedTuple):
    """One operation.

    Attributes:
        name: of its module.
        group: position of its group in the network.
        kind: position of its kind in the group.
        sources: maps that it reads, as their places in the group's source buffer.
        place: of its own map in the group's target buffer.
    """

    name: str
    group: int
    kind: int
    sources: tuple[int, ...]
    place: int


class PlainNetwork(nn.Module):
    """One network of a space, with batch normalisation that has scale, bias and running statistics.

    Attributes:
        network: the space's groups.
        rows: the operations, in the order in which they depend on each other.
        classes: classes of the last linear layer; 0 leaves it out, so that the features come out.
    """

    network: Network
    rows: tuple[PlainRow, ...]
    classes: int

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> Float[Array, "images outputs"]:
        """Compute logits, or features.

        Args:
            images: a batch.
            train: normalise by the statistics of the batch, and move the running ones, the collection `batch_stats`,
                towards them; otherwise normalise by the running ones.
        """
        maps = {("images", 0): images}
        for row in self.rows:
            group = self.network.groups[row.group]
            read = [maps[group.source, place] for place in row.sources]
            sources = Sources(read.__getitem__, np.arange(len(read)), len(read), padded=True)
            module = group.kinds[row.kind][1].module.clone(parent=self, name=row.name)
            maps[group.target, row.place] = module(sources, Norm.TRAIN if train else Norm.RUNNING)
        features = maps["features", 0]
        return nn.Dense(self.classes, name="head")(features) if self.classes else features


def read_rows(network: Network, program: Program) -> tuple[PlainRow, ...]:
    """The rows of a program of one genome, in chunks of one."""
    found = []
    for number, group in enumerate(network.groups):
        rows = program.rows[group.name]
        for c in range(int(rows.chunks)):
            kind, row = int(rows.kind[c]), int(rows.begin[c])
            name = f"{group.name}_{c}_{group.kinds[kind][0]}"
            sources = tuple(rows.sources[row, : rows.fan_in[c]].tolist())
            found.append(PlainRow(name, number, kind, sources, int(rows.first) + row))
    return tuple(found)
