"""A macro network written down plainly, one genome at a time, as the encoding's description reads."""

import jax.numpy as jnp
import numpy as np
from jax import lax


def decode(genome, nodes):
    """The inputs of each node and of the output, for each phase; 0 is the entry."""
    phases = []
    for bits in np.asarray(genome).reshape(3, -1):
        place, inputs = 0, []
        for i in range(nodes):
            inputs.append([j + 1 for j in range(i) if bits[place + j]])
            place += i
        read = {j for sources in inputs for j in sources}
        outputs = [0] * int(bits[-1]) + [i + 1 for i in range(nodes) if inputs[i] and i + 1 not in read]
        orphans = [i for i in range(nodes) if not inputs[i] and i + 1 in read]
        for i in orphans:
            inputs[i] = [0]
        phases.append((inputs, outputs or [0]))
    return phases


def _normalise(x, calibration):
    mean, variance = calibration.mean((0, 1, 2)), calibration.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + 1e-5)


def _convolve(x, kernel, padding):
    return np.asarray(lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")))


def _mix(rows, sources, kernel):
    if len(sources) == 1:
        return rows[sources[0]]
    blocks = np.concatenate([kernel[j] for j in sources]) / np.sqrt(len(sources))
    return np.concatenate([rows[j] for j in sources], -1) @ blocks


def features(space, genome, kernels, images, calibration):
    """Pooled features of one network; `calibration` says how many of the first images give the statistics."""
    x = np.asarray(images)
    for p, (inputs, outputs) in enumerate(decode(genome, space.nodes), 1):
        rows = {0: _convolve(x, kernels[f"entry{p}"]["entry"]["Convolution_0"]["kernel"][0], "VALID")}
        for i, sources in enumerate(inputs):
            if sources:
                y = _mix(rows, sources, np.asarray(kernels[f"nodes{p}"]["node"]["Mix_0"]["blocks"][i]))
                y = _convolve(y, kernels[f"nodes{p}"]["node"]["Convolution_0"]["kernel"][i], "SAME")
                rows[i + 1] = np.maximum(_normalise(y, y[:calibration]), 0)
        y = _mix(rows, outputs, np.asarray(kernels[f"output{p}"]["output"]["Mix_0"]["blocks"][0]))
        x = np.maximum(_normalise(y, y[:calibration]), 0)
        if p < 3:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x = x[:, :height, :width].reshape(len(x), height // 2, 2, width // 2, 2, -1).max((2, 4))
    return jnp.asarray(x.mean((1, 2)))
