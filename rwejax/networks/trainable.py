"""A genome's network as an ordinary Flax module, to be trained: its own parts, its own weights, its own statistics.

It is made of the same operations as the executor's rows, and read off the program of a population of one.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rwejax.networks.modules import Images, Norm, Normalise, Sources, convolution
from rwejax.networks.program import Network, Program

AUXILIARY = "auxiliary"
"""Name of the auxiliary head among the parameters."""


class PlainRow(NamedTuple):
    """One operation.

    Attributes:
        name: of its module.
        group: position of its group in the network.
        kind: position of its kind in the group.
        slot: where in the space it stands.
        sources: maps that it reads, as their slots in the group's source buffer.
        buffer_slot: of its own map in the group's target buffer.
    """

    name: str
    group: int
    kind: int
    slot: int
    sources: tuple[int, ...]
    buffer_slot: int


class AuxiliaryHead(nn.Module):
    """The second classifier of DARTS' networks, which reads the last reduction's output while they are trained.

    ReLU, an average pool to 2 x 2 (5 x 5 pixels at a time, less where the maps are smaller), convolutions to 128 and to
    768 channels, a linear layer (Liu et al., "DARTS", ICLR 2019, appendix A.2; Szegedy et al., 2015).
    """

    classes: int

    @nn.compact
    def __call__(self, x: Images, norm: Norm) -> Float[Array, "images classes"]:
        """Compute its logits."""
        windows = [min(5, length - 1) for length in x.shape[1:3]]
        strides = [length - window for length, window in zip(x.shape[1:3], windows, strict=True)]
        x = nn.avg_pool(nn.relu(x), tuple(windows), tuple(strides))
        x = nn.relu(Normalise()(convolution(128)(x), norm))
        x = nn.relu(Normalise()(convolution(768, 2, padding=[(0, 0), (0, 0)])(x), norm))
        return nn.Dense(self.classes)(x.reshape(len(x), -1))


class PlainNetwork(nn.Module):
    """One network of a space, with batch normalisation that has scale, bias and running statistics.

    Attributes:
        network: the space's groups.
        rows: the operations, in the order in which they depend on each other.
        classes: classes of the last linear layer; 0 leaves it out, so that the features come out.
        auxiliary: buffer and slots of the maps whose concatenation an auxiliary head reads in training, if any.
    """

    network: Network
    rows: tuple[PlainRow, ...]
    classes: int
    auxiliary: tuple[str, tuple[int, ...]] | None = None

    @nn.compact
    def __call__(
        self, images: Images, train: bool = False, drop_path: Float[Array, ""] | float = 0.0
    ) -> Float[Array, "images outputs"] | tuple[Float[Array, "images outputs"], Float[Array, "images outputs"]]:
        """Compute logits, or features.

        Args:
            images: a batch.
            train: normalise by the statistics of the batch, and move the running ones, the collection `batch_stats`,
                towards them; otherwise normalise by the running ones.
            drop_path: in training, the probability with which a branch of a cell is left out for an image, drawn from
                the stream `drop_path` (Larsson et al., "FractalNet", ICLR 2017); the branches that stay are scaled up.

        Returns:
            The logits; in training, where there is an auxiliary head, also its logits.
        """
        norm = Norm.TRAIN if train else Norm.RUNNING
        drops = train and not (isinstance(drop_path, float) and drop_path == 0)
        maps = {("images", 0): images}
        for row in self.rows:
            group = self.network.groups[row.group]
            read = [maps[group.source, slot] for slot in row.sources]
            sources = Sources(read.__getitem__, np.arange(len(read)), len(read))
            kind = group.kinds[row.kind][1]
            x = kind.module.clone(parent=self, name=row.name)(sources, norm)
            maps[group.target, row.buffer_slot] = self._leave_out(x, drop_path) if drops and kind.branch else x
        features = maps["features", 0]
        outputs = nn.Dense(self.classes, name="head")(features) if self.classes else features
        if not train or self.auxiliary is None:
            return outputs
        buffer, slots = self.auxiliary
        blocks = jnp.concatenate([maps[buffer, slot] for slot in slots], -1)
        return outputs, AuxiliaryHead(self.classes, name=AUXILIARY)(blocks, norm)

    def _leave_out(self, x: Images, probability: Float[Array, ""] | float) -> Images:
        stay = jax.random.bernoulli(self.make_rng("drop_path"), 1 - probability, (len(x), 1, 1, 1))
        return jnp.where(stay, x / (1 - probability), 0)


def read_rows(network: Network, program: Program) -> tuple[PlainRow, ...]:
    """The rows of a program of one genome, in chunks of one.

    Args:
        network: the groups and buffers of the space.
        program: of one genome, in chunks of one row, whose maps keep slots of their own.
    """
    found = []
    for number, group in enumerate(network.groups):
        rows = program.rows[group.name]
        for c in range(int(rows.chunks)):
            kind, row = int(rows.kind[c]), int(rows.begin[c])
            name = f"{group.name}_{c}_{group.kinds[kind][0]}"
            sources = tuple(rows.sources[row, : rows.fan_in[c]].tolist())
            found.append(PlainRow(name, number, kind, int(rows.slot[c]), sources, int(rows.buffer_slot[c])))
    return tuple(found)


def last_reduction(network: Network, rows: tuple[PlainRow, ...]) -> tuple[str, tuple[int, ...]]:
    """Buffer and slots of the blocks of the last cell that reduces, in a network of cells.

    They are what the first cell after it projects, or, where none comes after it, the output.

    Args:
        network: the groups and buffers of the space.
        rows: those of the genome, see `read_rows`.

    Raises:
        AssertionError: no row reads the last stage, so that this is no network of cells.
    """
    last = network.groups[-1].source
    for row in rows:
        group = network.groups[row.group]
        if group.source == last and group.kinds[row.kind][0] in ("project", "output"):
            return last, row.sources
    raise AssertionError("no row reads the last stage")
