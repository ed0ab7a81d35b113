"""A micro or DARTS network written down plainly, one genome at a time, as the encoding's description reads."""

import itertools

import jax
import numpy as np

from tests.networks.reference import convolve, normalise, pool, relu

MICRO = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
)
DARTS = (*MICRO[:7], "none")


def decode(name, genome):
    """The normal and the reduction cell: for each block its two (operation, input), and the blocks of the output."""
    cells = []
    for genes in np.asarray(genome).reshape(2, -1):
        blocks = []
        if name == "micro":
            for op1, input1, op2, input2 in genes.reshape(5, 4).tolist():
                blocks.append([(MICRO[op1], input1), (MICRO[op2], input2)])
            read = {source for block in blocks for _, source in block}
            outputs = [b for b in range(5) if b + 2 not in read]
        else:
            for b, (op1, op2, pair) in enumerate(genes.reshape(4, 3).tolist()):
                input1, input2 = list(itertools.permutations(range(2 + b), 2))[pair]
                blocks.append([(DARTS[op1], input1), (DARTS[op2], input2)])
            outputs = [0, 1, 2, 3]
        cells.append((blocks, outputs))
    return cells


def features(space, genome, kernels, images, calibration):
    """Pooled features of one network; `calibration` says how many of the first images give the statistics."""
    cells = decode(space.name, genome)

    def norm(x):
        return normalise(x, calibration)

    def slot(group, kind, number):
        """The kernels of a kind in one of its slots, by layer."""
        return {name: np.asarray(*jax.tree.leaves(layer))[number] for name, layer in kernels[group][kind].items()}

    def project(maps, weights, stride):
        """ReLU and a 1x1 of concatenated maps; or half of the channels from the even and half from the odd pixels.

        A map that `none` makes zero adds nothing and does not count in the fan-in.
        """
        maps = {b: x for b, x in maps.items() if x.any()} or maps
        x = relu(np.concatenate(list(maps.values()), -1))
        parts = []
        for shift, name in enumerate(["blocks"] if stride == 1 else ["blocks_even", "blocks_odd"]):
            kernel = np.concatenate([weights[name][b] for b in maps]) / np.sqrt(len(maps))
            parts.append(convolve(x[:, shift:, shift:], kernel[None, None], stride))
        return norm(np.concatenate(parts, -1))

    def separable(x, weights, stride, dilation, times):
        for i in range(times):
            x = convolve(relu(x), weights[f"Convolution_{2 * i}"], stride if i == 0 else 1, dilation)
            x = norm(convolve(x, weights[f"Convolution_{2 * i + 1}"]))
        return x

    def operate(op, x, stride, group, number):
        if op == "none":
            return np.zeros_like(x[:, ::stride, ::stride])
        if op == "skip_connect":
            return x if stride == 1 else project({0: x}, slot(group, op, number), 2)
        if op in ("max_pool_3x3", "avg_pool_3x3"):
            return pool(x, np.nanmax if op == "max_pool_3x3" else np.nanmean, stride)
        weights = slot(group, op, number)
        if op == "conv_7x1_1x7":
            x = convolve(relu(x), weights["Convolution_0"], (1, stride))
            return norm(convolve(x, weights["Convolution_1"], (stride, 1)))
        size = int(op[-1])
        assert weights["Convolution_0"].shape[:2] == (size, size)
        return separable(x, weights, stride, 2, 1) if op.startswith("dil") else separable(x, weights, stride, 1, 2)

    stem = norm(convolve(np.asarray(images), slot("stem", "stem", 0)["Convolution_0"]))
    # What a cell hands on: its blocks, and the name that its stage has among the groups.
    older = last = ({0: stem}, "stem")
    stage, first, channels = 1, 0, space.channels
    for c in range(space.layers):
        reduction = c in (space.layers // 3, 2 * space.layers // 3)
        if reduction:
            stage, first, channels = stage + 1, c, 2 * channels
        group, place = f"stage{stage}", c - first
        entry = f"reduce{stage}" if reduction else group
        height = _height(last)
        values = []
        for i, (maps, source) in enumerate((older, last)):
            where = group if source == group else f"{source}_{entry}"
            values.append(project(maps, slot(where, "project", 2 * place + i), _height((maps, source)) // height))
        blocks, outputs = cells[int(reduction)]
        for b, branches in enumerate(blocks):
            total = 0
            for i, (op, source) in enumerate(branches):
                if reduction and source < 2:
                    total = total + operate(op, values[source], 2, entry, 2 * b + i)
                else:
                    total = total + operate(op, values[source], 1, group, 2 * len(blocks) * place + 2 * b + i)
            assert total.shape[-1] == channels
            values.append(total)
        older, last = last, ({b: values[2 + b] for b in outputs}, group)
    pooled = np.zeros((len(images), len(blocks), channels))
    for b, x in last[0].items():
        pooled[:, b] = x.mean((1, 2))
    return pooled.reshape(len(images), -1)


def _height(output):
    maps, _ = output
    return next(iter(maps.values())).shape[1]
