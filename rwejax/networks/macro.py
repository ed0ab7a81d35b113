"""The macro space on the executor: groups, and the rows of genomes."""

import numpy as np
from jaxtyping import Int

from rwejax.networks.program import ABSENT, Builder, Group, Network, stack_sources
from rwejax.networks.slots import Entry, Node, Output
from rwejax.spaces import Macro


def network(space: Macro) -> Network:
    """Three groups a phase: its entry, its nodes and its output."""
    groups = []
    buffers: dict[str, tuple[int, ...]] = {"images": space.input_shape}
    source = "images"
    for p, (height, width, channels) in enumerate(space.maps):
        last = p == len(space.maps) - 1
        phase, pooled = f"phase{p + 1}", "features" if last else f"pooled{p + 1}"
        buffers |= {phase: (height, width, channels)}
        buffers |= {pooled: (channels,) if last else (height // 2, width // 2, channels)}
        # Every genome enters the first phase through the same row, and its nodes are the ones that genomes share.
        arity, sharing = space.nodes + 1, 0.6 if p == 0 else 1.0
        groups += [
            Group(f"entry{p + 1}", Entry(channels, 3 if p == 0 else 1), 1, 1, source, phase, 0.0 if p == 0 else 1.0),
            Group(f"nodes{p + 1}", Node(channels, space.nodes), space.nodes, space.nodes, phase, phase, sharing),
            Group(f"output{p + 1}", Output(arity, last), 1, arity, phase, pooled),
        ]
        source = pooled
    return Network(tuple(groups), buffers)


def add_rows(space: Macro, genomes: Int[np.ndarray, "n genes"], builder: Builder) -> Int[np.ndarray, " n"]:
    """Add the rows of genomes and return each genome's row of features."""
    wiring = space.wiring(space.canonical(genomes))
    x = np.zeros(len(genomes), int)
    for p in range(len(space.maps)):
        rows = [builder.add(f"entry{p + 1}", 0, x[:, None])]
        for node in range(space.nodes):
            reads = wiring.inputs[:, p, node, : node + 1].T
            sources = [np.where(read, row, ABSENT) for read, row in zip(reads, rows, strict=True)]
            rows.append(builder.add(f"nodes{p + 1}", node, stack_sources(sources, space.nodes)))
        feeds = wiring.outputs[:, p].T
        sources = [np.where(feed, row, ABSENT) for feed, row in zip(feeds, rows, strict=True)]
        x = builder.add(f"output{p + 1}", 0, np.stack(sources, 1))
    return x
