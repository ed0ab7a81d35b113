"""A NAS-Bench-Macro network written down plainly, one genome at a time, as the encoding's description reads."""

import numpy as np

from tests.networks.reference import convolve, normalise, relu


def features(space, genome, kernels, images, calibration):
    """Pooled features of one network; `calibration` says how many of the first images give the statistics."""

    def norm(x):
        return normalise(x, calibration)

    def kernel(group, kind, layer, slot=0):
        return np.asarray(kernels[group][kind][f"Convolution_{layer}"]["kernel"][slot])

    stem = np.asarray(kernels["stem"]["stem"]["Stem_0"]["Convolution_0"]["kernel"][0])
    x = relu(norm(convolve(np.asarray(images), stem)))
    genes = iter(np.asarray(genome).tolist())
    channels = space.channels
    for stage, depth in enumerate((2, 3, 3), 1):
        channels *= 2
        for layer in range(depth):
            choice = next(genes)
            stride, group, slot = (2, f"halve{stage}", 0) if layer == 0 else (1, f"stage{stage}", layer - 1)
            if choice == 0:
                if layer == 0:
                    x = norm(convolve(x, kernel(group, "identity", 0), 2))
            else:
                kind, expansion, size = {1: ("mb3", 3, 3), 2: ("mb6", 6, 5)}[choice]
                weights = [kernel(group, kind, i, slot) for i in range(3)]
                assert weights[1].shape == (size, size, 1, expansion * x.shape[-1])
                y = relu(norm(convolve(x, weights[0])))
                y = relu(norm(convolve(y, weights[1], stride)))
                y = norm(convolve(y, weights[2]))
                x = y if layer == 0 else x + y
            assert x.shape[-1] == channels
    x = relu(norm(convolve(x, kernel("output", "output", 0))))
    assert x.shape[-1] == 1280
    return x.mean((1, 2))
