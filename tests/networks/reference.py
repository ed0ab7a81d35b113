"""A macro network written down plainly, one genome at a time, as the encoding's description reads.

The modules beside this one do the same for the other spaces. They compute in float64, so that what differs is the
executor's own rounding.
"""

import numpy as np


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


def normalise(x, calibration):
    """Zero mean and unit variance by the statistics of the first `calibration` images."""
    first = x[:calibration]
    return (x - first.mean((0, 1, 2))) / np.sqrt(first.var((0, 1, 2)) + 1e-5)


def convolve(x, kernel, stride=1, dilation=1, padding=None):
    """Zeros keep the size at stride 1 unless `padding` is given; a kernel that reads one channel is depthwise."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    down, right = np.broadcast_to(stride, 2)
    around = [(dilation * (size // 2),) * 2 if padding is None else padding for size in kernel.shape[:2]]
    reach = [dilation * (size - 1) + 1 for size in kernel.shape[:2]]
    padded = np.pad(x, [(0, 0), *around, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, (1, 2))
    windows = windows[:, ::down, ::right, :, ::dilation, ::dilation]
    if kernel.shape[2] == x.shape[-1]:
        return np.tensordot(windows, kernel, ((4, 5, 3), (0, 1, 2)))
    return np.einsum("nhwcij,ijc->nhwc", windows, kernel[:, :, 0])


def relu(x):
    return np.maximum(x, 0)


def pool(x, reduction, stride=1):
    """A 3x3 pool by `np.nanmax` or `np.nanmean`, which leave the padding of NaN out."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return reduction(windows[:, ::stride, ::stride], (-2, -1))


def _mix(rows, sources, kernel):
    if len(sources) == 1:
        return rows[sources[0]]
    blocks = np.concatenate([kernel[j] for j in sources]) / np.sqrt(len(sources))
    return np.concatenate([rows[j] for j in sources], -1) @ blocks


def features(space, genome, kernels, images, calibration):
    """Pooled features of one network; `calibration` says how many of the first images give the statistics."""
    x = np.asarray(images)
    if space.stem == "imagenet":
        first, second = (kernels["stem"]["stem"][f"Convolution_{k}"]["kernel"][0] for k in range(2))
        x = relu(normalise(convolve(x, first, 2), calibration))
        x = relu(normalise(convolve(x, second, 2), calibration))
    for p, (inputs, outputs) in enumerate(decode(genome, space.nodes), 1):
        kernel = kernels[f"entry{p}"]["entry"]["Convolution_0"]["kernel"][0]
        if p == 1 and space.stem == "imagenet":
            rows = {0: normalise(convolve(x, kernel, 2), calibration)}
        else:
            rows = {0: convolve(x, kernel, padding=(0, 0))}
        for i, sources in enumerate(inputs):
            if sources:
                y = _mix(rows, sources, np.asarray(kernels[f"nodes{p}"]["node"]["Mix_0"]["blocks"][i]))
                y = convolve(y, kernels[f"nodes{p}"]["node"]["Convolution_0"]["kernel"][i])
                rows[i + 1] = relu(normalise(y, calibration))
        y = _mix(rows, outputs, np.asarray(kernels[f"output{p}"]["output"]["Mix_0"]["blocks"][0]))
        x = relu(normalise(y, calibration))
        if p < 3:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x = x[:, :height, :width].reshape(len(x), height // 2, 2, width // 2, 2, -1).max((2, 4))
    return x.mean((1, 2))
