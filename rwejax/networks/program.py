"""A population as data: rows (kind, slot, sources), computed once each.

A *kind* is an operation, a Flax module; its *slots* are the places in the space where it can stand, and each owns one
random kernel, the same for every genome. A *row* is a slot of a kind applied to source rows, so its feature map depends
on the part of the genome above it and on nothing else: rows that are equal need one computation, and what a genome
does not use never becomes a row. Kinds whose maps have one shape form a *group*; a group reads rows of one buffer and
writes rows to another, or to the same.

Lowering runs on the host, vectorised over genomes; what it returns is a pytree of arrays whose shapes depend on the
capacity alone, so that one compilation serves every population.
"""

from dataclasses import dataclass

import flax.linen as nn
import numpy as np
from flax import struct
from jaxtyping import Array, Int

ABSENT = -1

Table = Array | np.ndarray  # made by numpy on the host, traced by JAX


@dataclass(frozen=True)
class Kind:
    """An operation, and the number of slots where it can stand.

    Attributes:
        module: a Flax module called as `module(sources, norm)`; see `rwejax.networks.modules`.
        slots: number of slots, each with its own kernel.
        branch: whether it is one of the branches that a cell adds up, of which drop-path leaves some out in training.
        beside: modules of the same variables, whose results are concatenated to its own.
        unused: whether no row is of this kind, which stands at its operation's place and has kernels that are drawn;
            nothing is compiled for it.
    """

    module: nn.Module
    slots: int = 1
    branch: bool = False
    beside: tuple[nn.Module, ...] = ()
    unused: bool = False


@dataclass(frozen=True)
class Group:
    """Kinds of rows that read one buffer and write one buffer.

    Attributes:
        name: the key of the group's kernels.
        kinds: what its rows can be, by name.
        rows: the most rows that one genome has in the group.
        arity: the most sources a row can have.
        source: name of the buffer that is read.
        target: name of the buffer that is written.
    """

    name: str
    kinds: tuple[tuple[str, Kind], ...]
    rows: int
    arity: int
    source: str
    target: str


@dataclass(frozen=True)
class Network:
    """A search space as groups over buffers.

    Attributes:
        groups: in the order in which they run.
        buffers: height, width and channels of the rows of each buffer; a buffer of pooled features has channels alone.
            `images`, which is given, and `features`, which is the result, belong to it; and `codes` where it is kept
            which ReLUs are on, see `rwejax.networks.codes`.
    """

    groups: tuple[Group, ...]
    buffers: dict[str, tuple[int, ...]]

    def __hash__(self) -> int:
        return hash((self.groups, tuple(self.buffers.items())))


@struct.dataclass
class Rows:
    """The rows of one group in the order in which they run, in chunks of one kind and one number of sources each.

    Chunks have a few sizes, of which the first is the largest. Where there are several, a *run* is a sequence of chunks
    of one size, and a *round* has a run of each size, which may be empty.

    Attributes:
        chunks: number of chunks.
        kind: kind of each chunk, as its position in the group.
        fan_in: number of sources of each row of the chunk.
        begin: first row of each chunk; behind the last one, the number of rows.
        slot: slot of each row.
        buffer_slot: where in the target buffer the map of each row goes.
        sources: slots in the source buffer of the maps that each row reads; its first `fan_in` entries count.
        blocks: position among the slot's possible inputs of each source.
        rounds: number of rounds.
        runs: first chunk of each run of each round; behind the last one, the number of chunks.
    """

    chunks: Int[Table, ""]
    kind: Int[Table, " chunks"]
    fan_in: Int[Table, " chunks"]
    begin: Int[Table, " chunks+1"]
    slot: Int[Table, " rows"]
    buffer_slot: Int[Table, " rows"]
    sources: Int[Table, "rows arity"]
    blocks: Int[Table, "rows arity"]
    rounds: Int[Table, ""]
    runs: Int[Table, " runs+1"]


@struct.dataclass
class Codes:
    """Where the codes of ReLUs are kept, and whose they are.

    Attributes:
        begin: for each row of a group the first of its codes, by group.
        of_features: for each row of features and each size of ReLU the codes of its network.
        counts: how many these are.
    """

    begin: dict[str, Int[Table, " rows"]]
    of_features: Int[Table, "genomes sizes most"]
    counts: Int[Table, "genomes sizes"]


@struct.dataclass
class Program:
    """What the executor runs: the rows of each group, how many rows of features come out, and where codes are kept."""

    rows: dict[str, Rows]
    features: Int[Table, ""]
    codes: Codes | None = None


class CapacityError(Exception):
    """The rows of a population do not fit, or their maps: split it."""
