"""The executor's kernels as parameters of a network that is trained."""

import jax
import numpy as np


def with_kernels(shapes, module, program, kernels):
    """Parameters of a network: its slots' kernels, and scale 1 and bias 0."""
    rows = {row.name: row for row in module.rows}

    def take(path, leaf):
        name, *layers = (each.key for each in path)
        if layers[-1] in ("scale", "bias"):
            return np.full(leaf.shape, layers[-1] == "scale", np.float32)
        group = module.network.groups[rows[name].group]
        table = program.rows[group.name]
        chunk = int(name.removeprefix(f"{group.name}_").split("_")[0])
        found = kernels[group.name][group.kinds[rows[name].kind][0]]
        for layer in layers:
            found = found[layer]
        found = found[int(table.slot[chunk])]
        # Of a slot's possible inputs, those that the row has.
        return found[table.blocks[int(table.begin[chunk]), : len(leaf)]] if "blocks" in layers[-1] else found

    return jax.tree.map_with_path(take, shapes)
