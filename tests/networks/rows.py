"""Reading a program back, as the executor does."""

import numpy as np


def chunks(program, network, chunk_sizes=(1,)):
    """The chunks in the order in which they run: group, kind, and for each row its slot, its place and what it reads.

    What is read is listed as pairs (one of the slot's possible inputs, place in the source buffer).
    """
    for group in network.groups:
        rows = program.rows[group.name]
        runs = range(int(rows.rounds) * len(chunk_sizes))
        assert (rows.runs[0], rows.runs[len(runs)]) == (0, rows.chunks)
        for run in runs:
            for c in range(*rows.runs[run : run + 2]):
                assert 0 < rows.begin[c + 1] - rows.begin[c] <= chunk_sizes[run % len(chunk_sizes)]
                held = []
                for row in range(rows.begin[c], rows.begin[c + 1]):
                    reads = np.stack([rows.blocks[row], rows.sources[row]], 1)[: rows.fan_in[c]]
                    held.append((int(rows.slot[row]), int(rows.buffer_slot[row]), tuple(map(tuple, reads.tolist()))))
                yield group, group.kinds[rows.kind[c]][0], held
