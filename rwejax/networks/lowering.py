"""What makes a space's genomes run: a value at the end of the space's file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Int

from rwejax.networks.builder import Builder
from rwejax.networks.forms import Form
from rwejax.networks.program import Group, Network


@dataclass(frozen=True)
class Lowering:
    """How the genomes of a space become rows, and how its networks are written and drawn for people.

    Attributes:
        network: of a space and `pool`, the groups and buffers; the features are `pool` x `pool` pixels of the last map.
        add_rows: of a space, canonical genomes and a builder: adds the genomes' rows, and returns each one's row of
            features, `ABSENT` where no path leads through the network.
        forms: for each type of module among the network's kinds, how it is written in an exported `network.py`.
        part: of the space, a group, the name of a kind and a slot, the part of a drawing that a row there belongs to,
            such as "cell 2"; None for that of what the row reads. Without it, a part is what is computed in a buffer.
    """

    network: Callable[[Any, int], Network]
    add_rows: Callable[[Any, Int[np.ndarray, "n genes"], Builder], Int[np.ndarray, " n"]]
    forms: Mapping[type[nn.Module], Form]
    part: Callable[[Any, Group, str, int], str | None] | None = None
