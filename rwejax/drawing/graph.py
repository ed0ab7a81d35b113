"""A network as what a drawing shows of it: operations with shapes and costs, in parts, equal parts once."""

import functools
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jaxtyping import Int

from rwejax import networks
from rwejax.networks import PlainNetwork, forms_of
from rwejax.networks.registry import lowering_of
from rwejax.source.network import write_head, write_operation
from rwejax.spaces import Space

HEAD = "linear"
"""What the last layer, which is no row, is called."""


class Operation(NamedTuple):
    """A row of the network, or its last layer.

    Attributes:
        name: of the kind, such as sep_conv_3x3.
        shape: of its map.
        macs: multiply-adds for one image.
        params: parameters.
        sources: what it reads, as positions in `Graph.operations`; -1 is the image.
        part: position of its part.
    """

    name: str
    shape: tuple[int, ...]
    macs: int
    params: int
    sources: tuple[int, ...]
    part: int


class Graph(NamedTuple):
    """A network.

    Attributes:
        operations: in the order in which they depend on each other; the last one is the last layer.
        parts: names, in the order in which they run.
        image_shape: height, width and channels of an image.
    """

    operations: tuple[Operation, ...]
    parts: tuple[str, ...]
    image_shape: tuple[int, int, int]


class Panel(NamedTuple):
    """Parts of a network that are wired alike, of which one is drawn.

    Attributes:
        parts: their positions in `Graph.parts`.
        rows: for each operation that is drawn, its positions in `Graph.operations`, one for each part.
    """

    parts: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]


def make_graph(space: Space, genome: Int[np.ndarray, " genes"]) -> Graph:
    """A genome's network as a graph.

    Args:
        space: the space.
        genome: one genome of it.

    Raises:
        InputError: the genome is none of the space, or no path leads through its network.
    """
    module = networks.build(space, genome)
    forms = forms_of(module.network)
    written, parts, operations = {("images", 0): -1}, dict[str, int](), list[Operation]()
    for row in module.rows:
        group = module.network.groups[row.group]
        name, kind = group.kinds[row.kind]
        sources = tuple(written[group.source, slot] for slot in row.sources)
        shapes = tuple(space.input_shape if k < 0 else operations[k].shape for k in sources)
        known = _trace(*write_operation(kind.module, forms, _maps(len(sources))), shapes)
        part = _part(space, module, row)
        before = [operations[k].part for k in sources if k >= 0]
        place = max(before) if part is None and before else parts.setdefault(part or group.name, len(parts))
        written[group.target, row.buffer_slot] = len(operations)
        operations.append(Operation(name, *known, sources, place))
    known = _trace(write_head(module.classes, *_maps(1)), (), (operations[-1].shape,))
    head = Operation(HEAD, *known, (len(operations) - 1,), operations[-1].part)
    return Graph((*operations, head), tuple(parts), space.input_shape)


def panels(graph: Graph) -> list[Panel]:
    """The parts of a network, those that are wired alike together, in the order in which the first of each comes.

    Args:
        graph: the network.
    """
    members = defaultdict(list)
    for place, operation in enumerate(graph.operations):
        members[operation.part].append(place)
    alike = defaultdict(list)
    for part, rows in sorted(members.items()):
        first = {-1: -1} | {row: k for k, row in enumerate(rows)}  # what reads the image is not like what reads a part
        wiring = tuple(
            (graph.operations[row].name, tuple(first[k] for k in graph.operations[row].sources if k in first))
            for row in rows
        )
        alike[wiring].append((part, rows))
    return [
        Panel(tuple(part for part, _ in each), tuple(zip(*(rows for _, rows in each), strict=True)))
        for each in alike.values()
    ]


def _part(space: Space, module: PlainNetwork, row: Any) -> str | None:
    group, part = module.network.groups[row.group], lowering_of(space).part
    if part is not None:
        return part(space, group, group.kinds[row.kind][0], row.slot)
    inner = [each.source for each in module.network.groups if each.source == each.target]
    return next((buffer for buffer in (group.target, group.source) if buffer in inner), group.target)


def _maps(count: int) -> tuple[str, ...]:
    return tuple(f"x{k}" for k in range(count))


class _Alone(nn.Module):
    """An operation as an export writes it, of maps that are called x0, x1 and so on."""

    expression: str
    called: tuple[type[nn.Module], ...]

    @nn.compact
    def __call__(self, *maps: Any) -> Any:
        names = {"jax": jax, "jnp": jnp, "nn": nn, **{each.__name__: each for each in self.called}}
        return eval(self.expression, names | dict(zip(_maps(len(maps)), maps, strict=True)) | {"train": False})


@functools.lru_cache(2**12)  # networks have few different operations, and tracing one takes a while
def _trace(
    expression: str, called: tuple[type[nn.Module], ...], shapes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], int, int]:
    """The shape of what an operation computes, its multiply-adds and its parameters, all of its exported form.

    Args:
        expression: the operation.
        called: the plain classes in it.
        shapes: of the maps that it reads.
    """
    maps = [np.zeros((1, *shape), np.float32) for shape in shapes]
    alone = _Alone(expression, called)
    trace = jax.make_jaxpr(alone.init_with_output, return_shape=True)
    traced, (computed, variables) = trace(jax.random.key(0), *maps)
    params = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(dict(variables).get("params", {})))
    return computed.shape[1:], sum(_products(traced.jaxpr)), params


def _products(jaxpr: Jaxpr) -> Iterator[int]:
    """The multiply-adds of each product and convolution."""
    for equation in jaxpr.eqns:
        for each in equation.params.values():
            if isinstance(each, ClosedJaxpr):
                yield from _products(each.jaxpr)
        shapes = [each.aval.shape for each in (*equation.invars, *equation.outvars)]  # type: ignore[attr-defined]
        if equation.primitive.name == "conv_general_dilated":
            yield math.prod(shapes[2]) * math.prod(shapes[1][:-1])
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            yield math.prod(shapes[2]) * math.prod(shapes[0][axis] for axis in contracted)
