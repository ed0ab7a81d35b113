"""HOW genomes run: a population becomes a program, and one compiled executor runs any program of a space."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Int

from rwejax.errors import InputError
from rwejax.genomes import check_genome, check_genomes
from rwejax.networks.builder import Builder
from rwejax.networks.codes import codes_of_rows, find_codes, most_relus
from rwejax.networks.executor import Maps, make_features, map_shapes
from rwejax.networks.forms import Form, Writer
from rwejax.networks.kernels import Kernels, initialise
from rwejax.networks.lowering import Lowering
from rwejax.networks.modules import IMAGES_AXIS, Norm
from rwejax.networks.passes import NOTHING, ActivationObserver, Room, Tables
from rwejax.networks.per_network import PerNetwork
from rwejax.networks.program import ABSENT, CapacityError, Group, Kind, Network, Program, Rows
from rwejax.networks.registry import forms_of, lowering_of, register_space
from rwejax.networks.trainable import AUXILIARY, PlainNetwork, last_reduction, read_rows
from rwejax.networks.variables import (
    empty_tables,
    first_head,
    first_tables,
    first_variables,
    from_tables,
    own_features,
    variable_shapes,
)
from rwejax.runtime.stopwatch import part
from rwejax.spaces import CellSpace, Space

_POPULATIONS = 4  # random ones that are looked at

__all__ = [
    "ABSENT",
    "AUXILIARY",
    "IMAGES_AXIS",
    "NOTHING",
    "ActivationObserver",
    "Builder",
    "CapacityError",
    "Form",
    "Group",
    "Kernels",
    "Kind",
    "Lowering",
    "Maps",
    "Network",
    "Norm",
    "PerNetwork",
    "PlainNetwork",
    "Program",
    "Room",
    "Rows",
    "Tables",
    "Writer",
    "buffer_sizes",
    "build",
    "empty_program",
    "empty_tables",
    "first_head",
    "first_tables",
    "first_variables",
    "forms_of",
    "from_tables",
    "initialise",
    "lower",
    "make_features",
    "map_shapes",
    "network",
    "own_features",
    "register_space",
    "variable_shapes",
]


def network(space: Space, pool: int | Sequence[int] = 1, codes: bool = False) -> Network:
    """The groups and buffers of a space.

    Args:
        space: the space.
        pool: the last map becomes `pool` x `pool` features a channel; 1 is the global average pool. Of several, the
            features of each follow one another.
        codes: whether a pass keeps which ReLUs are on, see `rwejax.networks.codes`.
    """
    first, *others = [lowering_of(space).network(space, each) for each in ([pool] if isinstance(pool, int) else pool)]
    *groups, output = first.groups
    kinds = [
        (name, dataclasses.replace(kind, beside=tuple(other.groups[-1].kinds[k][1].module for other in others)))
        for k, (name, kind) in enumerate(output.kinds)
    ]
    features = sum(each.buffers["features"][0] for each in (first, *others))
    buffers = first.buffers | {"features": (features,)} | ({"codes": ()} if codes else {})
    return Network((*groups, dataclasses.replace(output, kinds=tuple(kinds))), buffers)


@part("planning")
def lower(
    space: Space,
    network: Network,
    genomes: Int[np.ndarray, "n genes"],
    capacity: int,
    chunk_sizes: Sequence[int] = (1,),
    sizes: Mapping[str, int] | None = None,
) -> tuple[Program, Int[np.ndarray, " n"]]:
    """Lower genomes to a program.

    Args:
        space: the space of the genomes.
        network: `network(space)`.
        genomes: a population; one of no genomes becomes `empty_program`.
        capacity: the number of genomes whose rows must fit; every program of a capacity has the same shapes.
        chunk_sizes: rows that the executor computes at once, descending; see `rwejax.networks.schedule`.
        sizes: slots of each buffer; see `buffer_sizes`. None: every map keeps a slot of its own.

    Returns:
        The program, and for each genome its row of features; genomes that decode to the same network share one, and
        `ABSENT` stands for a network through which no path leads.

    Raises:
        InputError: the genomes are none of the space.
        CapacityError: the rows do not fit.
    """
    builder = Builder(network, capacity, chunk_sizes, sizes)
    canonical = np.asarray(space.canonical(check_genomes(space, genomes)))
    rows = lowering_of(space).add_rows(space, canonical, builder)
    return _built(network, builder, rows, capacity, chunk_sizes, sizes), rows


def _built(
    network: Network,
    builder: Builder,
    features: Int[np.ndarray, " n"],
    capacity: int,
    chunk_sizes: Sequence[int],
    sizes: Mapping[str, float] | None,
) -> Program:
    program = builder.build()
    if "codes" not in network.buffers:
        return program
    places = math.inf if sizes is None else sizes["codes"] - _behind_codes(network)
    codes = find_codes(network, builder, features, capacity, chunk_sizes[0], places)
    return Program(program.rows, program.features, codes)


def _behind_codes(network: Network) -> int:
    """Places behind the last codes, over which the last row may write."""
    return max(most_relus(network, group) for group in network.groups)


def buffer_sizes(space: Space, network: Network, genomes: int, chunk_sizes: Sequence[int]) -> dict[str, int]:
    """The slots that each buffer should have, so that so many genomes fit together, and one alone always does.

    A quarter more than random populations need; a population that evolves has more rows in common.

    Args:
        space: the space, from which random populations are drawn.
        network: `network(space)`.
        genomes: how many are to fit together.
        chunk_sizes: rows that the executor computes at once, descending.
    """
    sizes = dict.fromkeys(network.buffers, 0)
    for group in network.groups:
        sizes[group.target] += group.rows
        if "codes" in sizes:
            sizes["codes"] += group.rows * most_relus(network, group)
    random = np.random.default_rng(0)
    for _ in range(_POPULATIONS):
        drawn = space.canonical(random.integers(space.lower, space.upper + 1, (genomes, len(space.lower))))
        builder = Builder(network, genomes, chunk_sizes, dict.fromkeys(network.buffers, math.inf))
        lowering_of(space).add_rows(space, drawn[np.lexsort(drawn.T[::-1])], builder)
        builder.build()
        used = builder.used | ({"codes": codes_of_rows(network, builder)} if "codes" in sizes else {})
        for name, count in used.items():
            sizes[name] = max(sizes[name], math.ceil(1.25 * count))
    if "codes" in sizes:
        sizes["codes"] += _behind_codes(network)
    return sizes | {"features": genomes}


def empty_program(network: Network, capacity: int, chunk_sizes: Sequence[int] = (1,)) -> Program:
    """A program of no rows: the shapes that every program of that capacity has.

    Args:
        network: the groups.
        capacity: genomes whose rows would fit.
        chunk_sizes: rows that the executor computes at once, descending.
    """
    builder = Builder(network, capacity, chunk_sizes)
    return _built(network, builder, np.zeros(0, int), capacity, chunk_sizes, None)


def build(
    space: Space, genome: Int[Array | np.ndarray, " genes"], classes: int | None = None, auxiliary: bool = False
) -> PlainNetwork:
    """The network of a genome as a Flax module of its own, to be trained.

    Args:
        space: the space, made for the images, the width and the depth that the network is to have.
        genome: one genome of the space.
        classes: classes of the last linear layer; None: the space's, 0: none, so that the pooled features come out.
        auxiliary: whether a second classifier, DARTS' auxiliary head, reads the last reduction's output in training;
            in the micro and darts spaces only.

    Returns:
        A module called as `module(images, train)`. Its parameters are as many as `space.params` says, less those of
        parts of a NAS-Bench-201 cell that read nothing but zeros, which are left out.

    Raises:
        InputError: the genome is none of the space, no path leads through its network, or that has no place for an
            auxiliary head.

    Examples:
        >>> import jax
        >>> from rwejax import spaces
        >>> space = spaces.get("macro", nodes=4, input_shape=(16, 16, 1))
        >>> genomes = space.sample(jax.random.key(0), 1)
        >>> module = build(space, genomes[0])
        >>> variables = jax.eval_shape(module.init, jax.random.key(1), np.zeros((1, 16, 16, 1), np.float32))
        >>> bool(sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == space.params(genomes)[0])
        True
    """
    genomes = check_genome(space, genome)[None]
    groups = network(space)
    program, (features,) = lower(space, groups, genomes, 1)
    if features == ABSENT:
        raise InputError(
            f"genome {space.to_string(genomes[0])!r} has no path from the image to the output: pick another"
        )
    rows = read_rows(groups, program)
    if auxiliary:
        _check_auxiliary(space)
    blocks = last_reduction(groups, rows) if auxiliary else None
    return PlainNetwork(groups, rows, space.classes if classes is None else classes, blocks)


def _check_auxiliary(space: Space) -> None:
    if not isinstance(space, CellSpace):
        raise InputError(f"space {space.name!r} has no place for an auxiliary head, only micro and darts: leave it out")
    read = space.layout[-1]  # of the size of the last reduction's maps
    if min(read.height, read.width) < 2:
        raise InputError(
            f"images are {space.input_shape[0]} x {space.input_shape[1]} pixels, of which the last cell has "
            f"{read.height} x {read.width}, and an auxiliary head needs 2 x 2: give larger images, or leave it out"
        )
