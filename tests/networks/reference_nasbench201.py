"""A NAS-Bench-201 network written down plainly, one genome at a time, as the encoding's description reads."""

import numpy as np

from tests.networks.reference import convolve, normalise, pool, relu

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def features(space, genome, kernels, images, calibration):
    """Pooled features of one network; `calibration` says how many of the first images give the statistics."""

    def norm(x):
        return normalise(x, calibration)

    def kernel(group, kind, layer, slot=0):
        return np.asarray(kernels[group][kind][f"Convolution_{layer}"]["kernel"][slot])

    def operate(op, x, stage, slot):
        if op == "none":
            return np.zeros_like(x)
        if op == "skip_connect":
            return x
        if op == "avg_pool_3x3":
            return pool(x, np.nanmean)
        weights = kernel(f"stage{stage}", op, 0, slot)
        assert weights.shape[0] == int(op[-1])
        return norm(convolve(relu(x), weights))

    x = norm(convolve(np.asarray(images), kernel("enter1", "stem", 0)))
    for stage in (1, 2, 3):
        if stage > 1:
            group = f"enter{stage}"
            halved = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))
            y = norm(convolve(relu(x), kernel(group, "residual", 1), 2))
            y = norm(convolve(relu(y), kernel(group, "residual", 2)))
            x = y + convolve(halved, kernel(group, "residual", 0))
        for cell in range(space.cells):
            nodes, edge = [x], 0
            for node in (1, 2, 3):
                total = 0
                for source in range(node):
                    op = OPERATIONS[int(genome[edge])]
                    total = total + operate(op, nodes[source], stage, 6 * cell + edge)
                    edge += 1
                nodes.append(total)
            x = nodes[3]
    return relu(norm(x)).mean((1, 2))
