"""What the terms of which scores can be made are worth by themselves: kernels of random networks, and errors on them.

For each network of a table, from one forward pass: the kernel of the last map at several poolings, and that of the
codes, the share of ReLUs on which two images agree, of all resolutions and of each. For each kernel, centred and
scaled, along the regularisation path: the error of the fit, the same with permuted labels, the leave-one-out error, and
the evidence. Printed is Spearman's correlation of each with the accuracy. New scores are looked for here.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import AxisType, Mesh, PartitionSpec
from parts.tables import TABLES, path, split, write
from rich.console import Console
from rich.table import Table

from rwejax import data, networks, spaces
from rwejax.correlating import tables
from rwejax.correlating.statistics import spearman
from rwejax.errors import InputError
from rwejax.networks import IMAGES_AXIS, ActivationObserver, PerNetwork
from rwejax.networks.executor import Kernels

POOLS = 1, 2, 4
UNITS = 256
STRENGTHS = np.geomspace(0.01, 1, 5)
TERMS = "fit", "fit, labels permuted", "left out", "evidence"


@dataclass(frozen=True)
class Config:
    """Correlate terms with tables of trained networks."""

    truth: Path
    """Folder of the published tables."""
    tables: str = "nasbench201,nasbench_macro,darts_trained,nasbench301_surrogate,macro,micro"
    """Names of tables with commas between them."""
    sample: int = 100
    """Networks of a table, drawn at random."""
    images: int = 400
    """Images of the batch."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels."""
    seed: int = 0
    """Draws the networks, the images and the weights."""
    output: Path | None = None
    """CSV file for the correlations."""


def main() -> int:
    """Compute, correlate, print. Returns the exit code: 2 where something cannot be used."""
    config = tyro.cli(Config, description=__doc__)
    rows: list[dict[str, str]] = []
    try:
        for table in split(config.tables):
            rows += correlations(config, table)
            show(rows)
            if config.output is not None:
                write(config.output, rows)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def correlations(config: Config, table: str) -> list[dict[str, str]]:
    """A row for each kernel and term of a table."""
    chosen = TABLES[table]
    dataset = data.load(
        config.dataset,
        train=config.images,
        validation=config.images // 2,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )
    sizes = {**spaces.get_class(chosen.space).proxy_sizes, **chosen.proxy}
    space = spaces.get(chosen.space, input_shape=dataset.image_shape, classes=dataset.classes, **sizes)
    networks_of = tables.read(path(table, config.truth), chosen.column, space, config.sample, config.seed)
    genomes = np.asarray(space.canonical(networks_of.genomes))
    network = networks.network(space, max(POOLS))
    kernels = jax.jit(lambda key: networks.initialise(network, key))(jax.random.key(config.seed))
    run = make(network, jnp.asarray(dataset.train_images), jax.nn.one_hot(dataset.train_labels, dataset.classes))
    found, values = [], []
    for genome, value in zip(genomes, networks_of.values, strict=True):
        program, _ = networks.lower(space, network, genome[None], 1, 1)
        if program.features:
            found.append(jax.tree.map(np.asarray, run(program, kernels)))
            values.append(value)
    return [
        {"table": table, "kernel": kernel, "term": term, "spearman": f"{spearman(terms[:, k], np.array(values)):.3f}"}
        for kernel in found[0]
        for terms in [np.array([each[kernel] for each in found])]
        for k, term in enumerate(TERMS)
        if np.isfinite(terms).all() and np.ptp(terms[:, k]) > 0
    ]


def make(
    network: networks.Network, images: jax.Array, labels: jax.Array
) -> Callable[[networks.Program, Kernels], dict[str, jax.Array]]:
    """The compiled function from a network's program to its terms, higher being better."""
    single, n = PerNetwork(network), len(images)
    heights = sorted({shape[0] for shape in network.buffers.values() if len(shape) == 3}, reverse=True)
    targets = labels - labels.mean(0)
    permuted = targets[np.random.default_rng(0).permutation(n)]

    def of_features(x: jax.Array) -> jax.Array:
        x = x.reshape(n, -1)
        std = x.std(0)
        z = jnp.where(std > 1e-6, (x - x.mean(0)) / jnp.maximum(std, 1e-6), 0)
        return z @ z.T

    def terms(kernel: jax.Array) -> jax.Array:
        kernel = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
        values, vectors = jnp.linalg.eigh(kernel)
        values = jnp.maximum(values, 0) / jnp.maximum(values.mean(), 1e-12)
        kept = STRENGTHS[:, None] / (values + STRENGTHS[:, None])
        energy, other = (jnp.square(vectors.T @ each).sum(1) / n for each in (targets, permuted))
        residuals = targets - jnp.einsum("nr,sr,rk->snk", vectors, 1 - kept, vectors.T @ targets)
        leverage = 1 / n + (1 - kept) @ jnp.square(vectors).T
        left_out = jnp.square(residuals / (1 - leverage)[..., None]).sum(-1).mean()
        evidence = -jnp.log(kept @ energy) - jnp.log1p(values / STRENGTHS[:, None]).sum(1) / n
        return jnp.stack(
            [-(jnp.square(kept) @ energy).mean(), -(jnp.square(kept) @ other).mean(), -left_out, evidence.max()]
        )

    def one(program: networks.Program, kernels: Kernels) -> dict[str, jax.Array]:
        def add(seen: dict, x: jax.Array, counts: jax.Array) -> dict:
            total, relus = seen[x.shape[1]]
            flat = x.reshape(n, -1)
            units = np.random.default_rng(flat.shape[1]).choice(flat.shape[1], min(UNITS, flat.shape[1]), replace=False)
            signs = jnp.where(flat[:, np.sort(units)] > 0, 1.0, -1.0)
            alike = (1 + signs @ signs.T / len(units)) / 2
            return {**seen, x.shape[1]: (total + jnp.where(counts, alike, 0), relus + counts)}

        nothing = jnp.zeros((n, n)), jnp.zeros(())
        observer = ActivationObserver(dict.fromkeys(heights, nothing), add)
        buffers, seen = single.forward(program, single.weights(program, kernels), images, observer)
        pixels = max(POOLS)
        last = buffers["features"][0].reshape(n, pixels, pixels, -1)
        codes = {height: total / jnp.maximum(relus, 1) for height, (total, relus) in seen.items()}
        there = jnp.stack([relus > 0 for _, relus in seen.values()]).sum()
        pooled = {
            f"last map, {pool} x {pool}": of_features(
                last.reshape(n, pool, pixels // pool, pool, pixels // pool, -1).mean((2, 4))
            )
            for pool in POOLS
        }
        every = {"codes": sum(codes.values()) / jnp.maximum(there, 1)}
        each = {f"codes, {height} x {height}": kernel for height, kernel in codes.items()}
        return {name: terms(kernel) for name, kernel in {**pooled, **every, **each}.items()}

    mesh = Mesh(np.array(jax.devices()[:1]), (IMAGES_AXIS,), axis_types=(AxisType.Auto,))
    everywhere = PartitionSpec()
    return jax.jit(
        jax.shard_map(one, mesh=mesh, in_specs=(everywhere, everywhere), out_specs=everywhere, check_vma=False)
    )


def show(rows: list[dict[str, str]]) -> None:
    """Print a kernel and a term a line, and a table a column."""
    tables = list(dict.fromkeys(row["table"] for row in rows))
    grid = Table("kernel", "term", *tables, box=None, title="Spearman", title_justify="left")
    for kernel, term in dict.fromkeys((row["kernel"], row["term"]) for row in rows):
        found = {row["table"]: row["spearman"] for row in rows if (row["kernel"], row["term"]) == (kernel, term)}
        grid.add_row(kernel, term, *(found.get(table, "") for table in tables))
    Console().print(grid)


if __name__ == "__main__":
    sys.exit(main())
