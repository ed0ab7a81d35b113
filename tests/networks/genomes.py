"""Genomes of every space but macro, those among them that chance would rarely draw."""

import jax
import numpy as np


def genotype(normal, reduce):
    cells = [", ".join(f"('{op}', {source})" for op, source in cell) for cell in (normal, reduce)]
    return f"Genotype(normal=[{cells[0]}], normal_concat=range(2, 6), reduce=[{cells[1]}], reduce_concat=range(2, 6))"


def special(space):
    """Genomes that chance would rarely draw."""
    if space.name == "micro":
        # All operations on the cell's inputs, all on blocks, and cells that most others do not read.
        inputs = "0 0 1 1 2 0 3 1 4 0 5 1 6 0 7 1 8 0 8 1"
        blocks = "2 0 2 1 0 2 1 2 3 3 4 3 5 4 6 4 7 5 8 2"
        skips = "2 0 2 0 2 2 2 0 1 0 2 2 2 0 2 0 0 0 1 0"
        last = "3 1 2 1 0 2 2 2 2 3 1 1 2 4 2 4 8 1 2 5"
        pairs = (inputs, blocks), (blocks, inputs), (skips, blocks), (inputs, skips), (last, inputs), (skips, last)
        return np.stack([space.from_string(" ".join(pair)) for pair in pairs])
    if space.name == "darts":
        none, sep, pool, skip = "none", "sep_conv_3x3", "max_pool_3x3", "skip_connect"
        some = [
            (none, 0),
            (sep, 1),
            (skip, 0),
            (none, 1),
            (pool, 2),
            ("avg_pool_3x3", 0),
            ("dil_conv_5x5", 4),
            (none, 3),
        ]
        # The first block is zero, and so are the third and fourth, which read zeros; all are in the output.
        zero = [(none, 0), (none, 1), (sep, 2), (pool, 1), (sep, 2), (none, 0), (skip, 2), ("sep_conv_5x5", 4)]
        nothing = [(none, 0), (none, 1)] * 4
        texts = [genotype(some, zero), genotype(zero, some), genotype(some, nothing), genotype(nothing, some)]
        return np.stack([space.from_string(text) for text in texts])
    if space.name == "nasbench201":
        # Only skips; a node without input; a node without reader; a convolution that leads nowhere.
        texts = [
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
            "|none~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|nor_conv_3x3~1|skip_connect~2|",
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
            "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|",
        ]
        return np.stack([space.from_string(text) for text in texts])
    return np.stack([space.from_string(text) for text in ("01201102", "10020210")])


def population(space, seed=3, n=6):
    sampled = np.asarray(space.sample(jax.random.key(seed), n))
    # A repeat ends it.
    return np.concatenate([sampled, [space.lower, space.upper], special(space), sampled[:1]]).astype(np.int32)
