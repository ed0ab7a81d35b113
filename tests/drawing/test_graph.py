"""A network as a graph: what is counted of its operations, and how it falls into parts."""

import jax
import numpy as np
import pytest

from rwejax import InputError, spaces
from rwejax.drawing.graph import HEAD, make_graph, panels
from tests.registered import alive, every_compiled_space, every_space, small

SHAPE = (16, 16, 3)


@every_compiled_space
def test_operations_cost_together_what_the_space_says(name):
    space = small(name, SHAPE)
    for genome, module in alive(space, 5)[:2]:
        graph = make_graph(space, genome)
        assert sum(each.macs for each in graph.operations) == space.macs(genome[None])[0]
        variables = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, *SHAPE), np.float32))
        assert sum(each.params for each in graph.operations) == sum(map(np.size, jax.tree.leaves(variables["params"])))
        assert len(graph.operations) == len(module.rows) + 1
        head = variables["params"]["head"]["kernel"]
        assert (*graph.operations[-2].shape, *graph.operations[-1].shape) == head.shape


@every_space
def test_every_operation_is_in_one_panel(name):
    space = small(name, SHAPE)
    graph = make_graph(space, alive(space, 5)[0][0])
    drawn = [row for panel in panels(graph) for rows in panel.rows for row in rows]
    assert sorted(drawn) == list(range(len(graph.operations)))
    assert {part for panel in panels(graph) for part in panel.parts} == set(range(len(graph.parts)))
    for panel in panels(graph):
        for rows in panel.rows:
            assert len({graph.operations[row].name for row in rows}) == 1
            assert tuple(graph.operations[row].part for row in rows) == panel.parts


def test_what_is_read_is_the_wiring_of_the_text():
    space = spaces.get("macro", nodes=4, channels=4, input_shape=SHAPE)
    # Bits of a phase: whether node 2 reads 1, whether 3 reads 1 and 2, whether 4 reads 1, 2 and 3, the last one aside.
    graph = make_graph(space, space.from_string("macro:4:1011010-0000000-1000000"))
    assert graph.parts == ("phase1", "phase2", "phase3")
    entry, node1, node2, node3, node4 = range(5)
    assert [(each.name, each.sources) for each in graph.operations if each.part == 0] == [
        ("entry", (-1,)),
        ("node", (entry,)),
        ("node", (node1,)),
        ("node", (node2,)),
        ("node", (node1, node3)),
        ("output", (node4,)),
    ]
    assert graph.operations[-1].name == HEAD
    assert graph.operations[-1].sources == (len(graph.operations) - 2,)


@pytest.mark.parametrize(("name", "layers", "cells", "reductions"), [("micro", 8, 6, 2), ("darts", 5, 3, 2)])
def test_cells_that_are_wired_alike_are_one_panel(name, layers, cells, reductions):
    space = spaces.get(name, layers=layers, channels=2, input_shape=SHAPE)
    graph = make_graph(space, alive(space, 1)[0][0])
    found = [tuple(graph.parts[part] for part in panel.parts) for panel in panels(graph)]
    assert [len(each) for each in found] == [1, cells, reductions, 1]
    names = [f"{'reduction' if cell.reduction else 'cell'} {k}" for k, cell in enumerate(space.layout, start=1)]
    assert graph.parts == ("stem", *names, "output")


def test_no_path_is_refused():
    space = spaces.get("nasbench201", cells=1, channels=2, input_shape=SHAPE)
    with pytest.raises(InputError, match="has no path from the image to the output"):
        make_graph(space, space.from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"))
