"""Rows and multiply-adds that are left when equal parts of networks are computed once."""

import functools
import time
from typing import Any

import jax
import numpy as np

from rwejax import networks, spaces
from rwejax.evaluate.random_weight import RandomWeightEvaluator
from rwejax.networks.kernels import parameters


def count_work(evaluator: RandomWeightEvaluator, genomes: np.ndarray) -> dict[str, Any]:
    """Rows and multiply-adds an image, all genomes together, with and without sharing among genomes.

    Args:
        evaluator: its programs are counted, so what genomes of different programs have in common counts twice.
        genomes: a population of the macro or the micro space.
    """
    space, network = evaluator.space, networks.network(evaluator.space)
    start = time.perf_counter()
    canonical = np.asarray(space.canonical(genomes))
    together = [members for members, _, _ in evaluator.forward.programs(canonical)]
    lowering = time.perf_counter() - start
    shared = [
        networks.lower(space, network, canonical[members], evaluator.forward.genomes_per_program)[0]
        for members in together
    ]
    alone = [networks.lower(space, network, genome[None], 1)[0] for genome in genomes]
    return {
        "programs": len(shared),
        "rows": {
            group.name: {
                "without_sharing": sum(int(program.rows[group.name].chunks) for program in alone),
                "distinct": sum(int(program.rows[group.name].chunks) for program in shared),
            }
            for group in network.groups
        },
        "convolution_macs_per_image": {
            "without_sharing": sum(convolution_macs(space, program) for program in alone),
            "distinct": sum(convolution_macs(space, program) for program in shared),
        },
        "lowering_seconds": lowering,
    }


def convolution_macs(space: spaces.Space, program: networks.Program) -> int:
    """Multiply-adds an image of a program's rows, which must be in chunks of one."""
    total = 0
    for group, code, per_row, per_source in _costs(space):
        rows = program.rows[group]
        fan_in = rows.fan_in[: rows.chunks][rows.kind[: rows.chunks] == code]
        total += len(fan_in) * per_row
        # A macro node mixes where it has several sources; a projection of micro is there for one source, too.
        total += int(fan_in[fan_in > (space.name == "macro")].sum()) * per_source
    return total


@functools.cache
def _costs(space: spaces.Space) -> list[tuple[str, int, int, int]]:
    """For each kind its group and its code, and the multiply-adds of a row and of each of a row's sources."""
    costs = []
    network = networks.network(space)
    for group in network.groups:
        # An output mixes before it pools.
        computed = network.buffers[group.source if group.name.startswith("output") else group.target]
        positions = int(np.prod(computed[:-1]))
        for code, (name, kind) in enumerate(group.kinds):
            per_row = per_source = 0
            for path, leaf in jax.tree.leaves_with_path(parameters(network, group, kind)):
                weights = leaf.size // kind.slots
                if any(part.key.startswith("blocks") for part in path):
                    per_source += positions * weights // group.arity
                else:
                    # The 1x7 of stride 2 halves the width alone, and so runs on all rows.
                    tall = name == "conv_7x1_1x7" and group.source != group.target and path[0].key == "Convolution_0"
                    per_row += positions * weights * (2 if tall else 1)
            costs.append((group.name, code, per_row, per_source))
    return costs
