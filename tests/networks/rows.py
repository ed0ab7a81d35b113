"""Reading a program back, as the executor does."""

import numpy as np


def chunks(program, network, chunk=1):
    """The chunks in the order in which they run: group, kind, slot, and for each row its place and what it reads.

    What is read is listed as pairs (one of the slot's possible inputs, place in the source buffer). A chunk is always
    full: what it holds beyond its own rows, nothing reads before another writes there.
    """
    for group in network.groups:
        rows = program.rows[group.name]
        for c in range(int(rows.chunks)):
            held = []
            for k in range(chunk):
                row = rows.begin[c] + k
                reads = np.stack([rows.blocks[row], rows.sources[row]], 1)[: rows.fan_in[c]]
                held.append((int(rows.buffer_slot[c]) + k, tuple(map(tuple, reads.tolist()))))
            yield group, group.kinds[rows.kind[c]][0], int(rows.slot[c]), held
