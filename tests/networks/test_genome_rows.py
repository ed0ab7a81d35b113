import jax
import numpy as np
import pytest

from rwejax import networks, spaces
from rwejax.networks.genome_rows import IMAGE, genome_rows, row_function
from rwejax.networks.trainable import read_rows

OPTIONS = {"macro": {"nodes": 4}, "micro": {"layers": 3}, "darts": {"layers": 3}, "nasbench201": {"cells": 1}}


def small(name):
    return spaces.get(name, channels=4, **OPTIONS.get(name, {}))


def alone(space, network, genome):
    """Group, kind and sources of the rows of one genome, from its own program, without those that lead nowhere."""
    program, (features,) = networks.lower(space, network, genome[None], 1)
    if features == networks.ABSENT:
        return []
    rows = read_rows(network, program)
    wanted, kept = {("features", int(features))}, []
    for row in reversed(rows):
        group = network.groups[row.group]
        if (group.target, row.buffer_slot) in wanted:
            kept.append(row)
            wanted |= {(group.source, source) for source in row.sources}
    places, found = {("images", 0): IMAGE}, []
    for row in reversed(kept):
        group = network.groups[row.group]
        found.append((row.group, row.kind, tuple(places[group.source, source] for source in row.sources)))
        places[group.target, row.buffer_slot] = len(places) - 1
    return found


@pytest.mark.parametrize("name", spaces.names())
def test_rows_are_those_of_each_genome_alone(name):
    space = small(name)
    network = networks.network(space)
    genomes = np.concatenate([np.asarray(space.sample(jax.random.key(3), 12)), [space.lower, space.upper]])
    program, features = networks.lower(space, network, genomes, len(genomes))
    found = genome_rows(network, program, features)
    for genome, numbers in zip(genomes, found.genomes, strict=True):
        position = {number: place for place, number in enumerate(numbers)} | {IMAGE: IMAGE}
        rows = [found.distinct[number] for number in numbers]
        assert [(row.group, row.kind, tuple(position[source] for source in row.sources)) for row in rows] == alone(
            space, network, genome
        )


def test_a_dead_network_has_no_rows():
    space = small("nasbench201")
    network = networks.network(space)
    program, features = networks.lower(space, network, space.lower[None], 1)
    assert genome_rows(network, program, features).genomes == [[]]


@pytest.mark.parametrize("space_name", spaces.names())
def test_a_row_alone_writes_a_map_of_its_group(space_name):
    space = small(space_name)
    network = networks.network(space)
    for group in network.groups:
        for name, kind in group.kinds:
            # Of an output the features of its sources, and no others, are side by side.
            fan_in = group.arity if name == "output" else 2 if name == "sum" else 1
            row = row_function(kind.module, network.buffers[group.source], fan_in, images=3)
            assert {*row.variables} <= {"params", "batch_stats"}
            assert jax.eval_shape(row.apply, row.variables, row.sources).shape == (3, *network.buffers[group.target])
