"""NAS-Bench-201 with one cell a stage as an ordinary differentiable function, and scores as their papers define them.

Nothing of the row engine is in it: JAX differentiates the function as it stands.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import KernelCenterer

SCORES = ("nwot", "snip", "grad_norm", "grasp", "fisher", "jacob_cov", "synflow", "rwf", "fit_path")
EDGES = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


def weights(network_kernels, genome):
    """The kernels that a genome uses, by the place where they are used."""
    found = {"stem": network_kernels["enter1"]["stem"]["Convolution_0"]["kernel"][0]}
    for stage in (1, 2, 3):
        if stage > 1:
            for i in range(3):
                found[f"{stage} {i}"] = network_kernels[f"enter{stage}"]["residual"][f"Convolution_{i}"]["kernel"][0]
        for edge, op in enumerate(genome):
            if op in (2, 3):
                kind = {2: "nor_conv_1x1", 3: "nor_conv_3x3"}[op]
                found[f"{stage} edge {edge}"] = network_kernels[f"stage{stage}"][kind]["Convolution_0"]["kernel"][edge]
    return found


class Plain:
    """The network. Of its last call, `relus` and `norms` hold what entered these, `outputs` what left convolutions."""

    def __init__(self, genome, norm=True):
        self.genome, self.norm = [int(op) for op in genome], norm

    def __call__(self, params, images, shifts=None):
        self.relus, self.outputs, self.norms, self.shifts = [], [], [], shifts
        x = self.normalise(self.convolve(images, params["stem"]))
        for stage in (1, 2, 3):
            if stage > 1:
                shortcut = self.convolve(self.average(x, 2, 2, 0), params[f"{stage} 0"])
                y = self.normalise(self.convolve(self.relu(x), params[f"{stage} 1"], 2))
                x = self.normalise(self.convolve(self.relu(y), params[f"{stage} 2"])) + shortcut
            nodes = [x, 0.0, 0.0, 0.0]
            for edge, (node, source) in enumerate(EDGES):
                op = self.genome[edge]
                if op == 1:
                    nodes[node] += nodes[source]
                elif op in (2, 3):
                    y = self.convolve(self.relu(nodes[source]), params[f"{stage} edge {edge}"])
                    nodes[node] += self.normalise(y)
                elif op == 4:
                    nodes[node] += self.average(nodes[source], 3, 1, 1)
            x = nodes[3]
        return self.relu(self.normalise(x)).mean((1, 2)) @ params["head"]

    def relu(self, x):
        self.relus.append(x)
        return jnp.maximum(x, 0)

    def convolve(self, x, kernel, stride=1):
        pad = (kernel.shape[0] // 2,) * 2
        y = lax.conv_general_dilated(x, kernel, (stride,) * 2, (pad, pad), dimension_numbers=("NHWC", "HWIO", "NHWC"))
        if self.shifts is not None:
            y = y + self.shifts[len(self.outputs)]
        self.outputs.append(y)
        return y

    def normalise(self, x):
        self.norms.append(x)
        return (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5) if self.norm else x

    def average(self, x, size, stride, pad):
        window = ((1, size, size, 1), (1, stride, stride, 1), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        total = lax.reduce_window(x, 0.0, lax.add, *window)
        return total / lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, *window)


def grasp(genome, params, images, labels):
    """The one score that takes second derivatives."""
    network = Plain(genome)

    @jax.jit
    @jax.grad
    def slope(params):
        return optax.softmax_cross_entropy_with_integer_labels(network(params, images), labels).mean()

    curved = jax.jit(lambda params: jax.jvp(slope, (params,), (slope(params),))[1])(params)  # Hessian times gradient
    return -sum(float((params[k] * curved[k]).sum()) for k in params)


def scores(genome, params, images, labels):
    """Every other score of one network, each written down from its paper."""
    network = Plain(genome)

    def loss(params, images=images, shifts=None):
        return optax.softmax_cross_entropy_with_integer_labels(network(params, images, shifts), labels).mean()

    @jax.jit
    def differentiate(params):
        logits = network(params, images)
        relus, outputs = network.relus, network.outputs
        zeros = [jnp.zeros_like(y) for y in outputs]
        gradients, shifts = jax.grad(loss, (0, 2))(params, images, zeros)
        in_logits = jax.grad(lambda y: optax.softmax_cross_entropy_with_integer_labels(y, labels).mean())(logits)

        in_images = jax.grad(lambda images: network(params, images).sum())(images)
        saliency = [(y * g).sum((1, 2)) for y, g in zip(outputs, shifts, strict=True)] + [logits * in_logits]
        return gradients, relus, saliency, in_images

    gradients, relus, saliency, in_images = differentiate(params)
    codes = np.concatenate([np.asarray(x > 0).reshape(len(images), -1) for x in relus], 1).astype(float)
    values = np.linalg.eigvalsh(np.corrcoef(np.asarray(in_images).reshape(len(images), -1))) + 1e-5
    return {
        "nwot": np.linalg.slogdet(codes @ codes.T + (1 - codes) @ (1 - codes).T)[1],
        "snip": sum(float(jnp.abs(params[k] * gradients[k]).sum()) for k in params),
        "grad_norm": sum(float(jnp.linalg.norm(gradients[k].ravel())) for k in params),
        "fisher": sum(0.5 * float((s**2).mean(0).sum()) for s in saliency),
        "jacob_cov": -float((np.log(values) + 1 / values).sum()),
        "synflow": synflow(genome, params, images),
        "rwf": rwf(relus, labels),
        "fit_path": fit_path(relus, labels),
    }


def synflow(genome, params, images):
    with jax.enable_x64(True):
        network = Plain(genome, norm=False)
        wide = {k: jnp.abs(jnp.asarray(np.asarray(w, np.float64))) for k, w in params.items()}
        ones = jnp.ones((1, *images.shape[1:]), jnp.float64)
        gradients = jax.jit(jax.grad(lambda p: network(p, ones).sum()))(wide)
        return float(jnp.log(sum((wide[k] * gradients[k]).sum() for k in wide)))


def rwf(relus, labels):
    """Both terms, with every unit of every ReLU and the last map pooled to 2x2."""
    last = np.maximum(np.asarray(relus[-1]), 0)
    half = last.shape[1] // 2
    pooled = last.reshape(len(last), 2, half, 2, half, -1).mean((2, 4)).reshape(len(last), -1)
    return -(fit_error(gram(pooled), labels, 1) + fit_error(centred(agreement(relus)), labels, 1))


def fit_path(relus, labels):
    """Both terms, with every unit of every ReLU and the last map pooled to one pixel."""
    kernels = [centred(gram(np.maximum(np.asarray(relus[-1]), 0).mean((1, 2)))), centred(agreement(relus))]
    scaled = [kernel / np.diag(kernel).mean() for kernel in kernels]
    strengths = 0.01, 0.1**1.5, 0.1, 0.1**0.5, 1
    return -sum(np.mean([fit_error(kernel, labels, strength) for strength in strengths]) for kernel in scaled)


def fit_error(kernel, labels, strength):
    """scikit-learn's kernel ridge, on what it was fitted on."""
    targets = np.eye(10)[labels] - np.eye(10)[labels].mean(0)
    fitted = KernelRidge(alpha=strength, kernel="precomputed").fit(kernel, targets).predict(kernel)
    return ((targets - fitted) ** 2).sum(1).mean()


def gram(x):
    z = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    return z @ z.T / (z.std(0) > 0).sum()


def agreement(relus):
    by_size = {}
    for x in relus:
        on = np.asarray(x > 0).reshape(len(x), -1).astype(float)
        alike = (on @ on.T + (1 - on) @ (1 - on).T) / on.shape[1]
        by_size.setdefault(x.shape[1], []).append(alike)
    return np.mean([np.mean(each, 0) for each in by_size.values()], 0)


def centred(kernel):
    return KernelCenterer().fit_transform(kernel)
