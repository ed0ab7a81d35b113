"""A network's inference as an ONNX model: each operation of its jaxpr becomes one or two of ONNX's.

The network is traced for one image: what depends on weights alone is computed here, and fits any number of images.
Maps stay (images, height, width, channels) as in Flax. Convolutions and pools, which have channels first in ONNX, stand
between two transpositions, which runtimes cancel.

jax2onnx 0.17.1 converts networks of two of our five spaces: it drops the padding of Flax's pools and, given JAX's own
operations in their place, writes pools over four axes, which ONNX Runtime refuses.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from rwejax.errors import InputError

if TYPE_CHECKING:  # the extra may be missing
    import onnx

OPSET = 18
"""Version of ONNX's operators, of December 2022."""

Value = str | np.ndarray  # what an operation has made, by its name, or a constant
Equation = Any  # of a jaxpr; JAX does not say of what type its values are


def make_model(infer: Callable[[Any], Any], image_shape: tuple[int, int, int], name: str) -> "onnx.ModelProto":
    """An ONNX model of a network's inference, from `images` to `logits`, for any number of images.

    Args:
        infer: from (1, height, width, channels) float32 to (1, classes) logits; images do not depend on each other.
        image_shape: height, width and channels of an image.
        name: of the model.

    Raises:
        InputError: the network has an operation for which there is no rule here.
    """
    import onnx
    from onnx import helper

    traced = jax.make_jaxpr(infer)(jax.ShapeDtypeStruct((1, *image_shape), np.float32))
    graph = _Graph()
    (made,) = _run(graph, traced.jaxpr, traced.consts, ["images"])
    graph.nodes.append(helper.make_node("Identity", [graph.name(made)], ["logits"]))
    ends = [
        helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, ["N", *shape])
        for each, shape in (("images", image_shape), ("logits", traced.out_avals[0].shape[1:]))
    ]
    whole = helper.make_graph(graph.nodes, name, ends[:1], ends[1:], graph.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """What has been written.

    Attributes:
        nodes: operations, as `onnx.NodeProto`.
        constants: weights, as `onnx.TensorProto`.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add an operation; returns the name of what it makes."""
        from onnx import helper

        made = f"{operator}_{len(self.nodes)}"
        names = [self.name(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [made], made, **attributes))
        return made

    def name(self, value: Value) -> str:
        """The name of a value; a constant gets one."""
        if isinstance(value, str):
            return value
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), f"constant_{len(self.constants)}"))
        return self.constants[-1].name

    def transposed(self, value: Value, order: Sequence[int]) -> str:
        """A value with its axes in another order."""
        return self.add("Transpose", value, perm=list(order))

    def shaped(self, value: Value, shape: Sequence[int]) -> str:
        """A value of another shape but for its first axis, the images."""
        return self.add("Reshape", value, np.array([0, *shape[1:]], np.int64))


def _run(graph: _Graph, jaxpr: Jaxpr, constants: Sequence[Any], inputs: Sequence[Value]) -> list[Value]:
    known: dict[Any, Value] = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Value:
        return np.asarray(atom.val) if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        values = [read(each) for each in equation.invars]
        inner = [each for each in equation.params.values() if isinstance(each, ClosedJaxpr)]
        made: Sequence[Value]
        if equation.primitive.name in _CALLS:
            made = _run(graph, inner[0].jaxpr, inner[0].consts, values)
        elif any(isinstance(each, str) for each in values):
            made = [_operation(graph, equation, values)]
        else:
            found = equation.primitive.bind(*values, **equation.params)
            made = [np.asarray(each) for each in (found if equation.primitive.multiple_results else [found])]
        known |= dict(zip(equation.outvars, made, strict=True))
    return [read(each) for each in jaxpr.outvars]


def _operation(graph: _Graph, equation: Equation, values: list[Value]) -> Value:
    name = equation.primitive.name
    if name in _ELEMENTWISE:
        return graph.add(_ELEMENTWISE[name], *map(_narrow, values))
    made = _RULES[name](graph, equation, *values) if name in _RULES else None
    if made is None:
        shapes = " and ".join(str(each.aval.shape) for each in equation.invars)
        raise InputError(
            f"an operation of the network does {name} of {shapes}, for which the export to ONNX has no rule: "
            "export without --format onnx, or write the operation otherwise"
        )
    return made


def _narrow(value: Value) -> Value:
    """A constant without what only repeats it along an axis, as ONNX repeats it itself."""
    if not isinstance(value, str):
        for axis in range(value.ndim):
            first = value.take([0], axis)
            value = first if (value == first).all() else value
    return value


# Rules: of the graph, an equation and what that reads, to what it makes; None where the rule does not hold.


def _convolution(graph: _Graph, equation: Equation, x: Value, kernel: Value) -> Value | None:
    given = equation.params
    if isinstance(kernel, str) or max(*given["lhs_dilation"], given["batch_group_count"]) > 1:
        return None
    axes = given["dimension_numbers"]
    made = graph.add(
        "Conv",
        graph.transposed(x, axes.lhs_spec),
        kernel.transpose(axes.rhs_spec),
        strides=list(given["window_strides"]),
        pads=_ends(given["padding"]),
        dilations=list(given["rhs_dilation"]),
        group=given["feature_group_count"],
    )
    return graph.transposed(made, np.argsort(axes.out_spec).tolist())


def _pool(graph: _Graph, equation: Equation, x: Value) -> Value | None:
    given = equation.params
    images, *window, channels = given["window_dimensions"]
    dilations = *given["base_dilation"], *given["window_dilation"]
    if (images, len(window), channels, *dilations) != (1, 2, 1, *([1] * 8)):
        return None
    settings: dict[str, Any] = {"kernel_shape": window, "strides": list(given["window_strides"][1:3])}
    settings["pads"] = _ends(given["padding"][1:3])
    x = graph.transposed(x, (0, 3, 1, 2))
    if equation.primitive.name == "reduce_window_max":
        return graph.transposed(graph.add("MaxPool", x, **settings), (0, 2, 3, 1))
    mean = graph.transposed(graph.add("AveragePool", x, **settings, count_include_pad=1), (0, 2, 3, 1))
    return graph.add("Mul", mean, np.array(math.prod(window), np.float32))


def _ends(padding: Sequence[tuple[int, int]]) -> list[int]:
    """Padding as ONNX lists it: before all axes, then behind them."""
    return [each[end] for end in (0, 1) for each in padding]


def _reduction(graph: _Graph, equation: Equation, x: Value) -> Value | None:
    operators = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}
    axes = np.array(equation.params["axes"], np.int64)
    return None if 0 in axes else graph.add(operators[equation.primitive.name], x, axes, keepdims=0)


def _product(graph: _Graph, equation: Equation, x: Value, y: Value) -> Value | None:
    contracted = (equation.invars[0].aval.ndim - 1,), (0,)
    plain = equation.params["dimension_numbers"] == (contracted, ((), ())) and equation.invars[1].aval.ndim == 2
    return graph.add("MatMul", x, y) if plain else None


def _concatenation(graph: _Graph, equation: Equation, *values: Value) -> Value | None:
    axis, constant = equation.params["dimension"], any(not isinstance(each, str) for each in values)
    return None if axis == 0 or constant else graph.add("Concat", *values, axis=axis)


def _slice(graph: _Graph, equation: Equation, x: Value) -> Value:
    given, shape = equation.params, equation.invars[0].aval.shape
    strides = given["strides"] or (1,) * len(shape)
    each = zip(given["start_indices"], given["limit_indices"], strides, shape, strict=True)
    parts = [(*part, axis) for axis, (*part, size) in enumerate(each) if part != [0, size, 1]]
    starts, ends, steps, axes = np.array(parts, np.int64).reshape(-1, 4).T
    return graph.add("Slice", x, starts, ends, axes, steps)


def _reshape(graph: _Graph, equation: Equation, x: Value) -> Value | None:
    shape = equation.outvars[0].aval.shape
    return graph.shaped(x, shape) if shape and shape[0] == 1 and equation.invars[0].aval.shape[0] == 1 else None


def _broadcast(graph: _Graph, equation: Equation, x: Value) -> Value | None:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    if not places or places[0] != 0:
        return None
    sizes = dict(zip(places, equation.invars[0].aval.shape, strict=True))
    return graph.add(
        "Expand", graph.shaped(x, [sizes.get(axis, 1) for axis in range(len(shape))]), np.array(shape, np.int64)
    )


def _transpose(graph: _Graph, equation: Equation, x: Value) -> Value | None:
    order = equation.params["permutation"]
    return graph.transposed(x, order) if order[0] == 0 else None


def _padding(graph: _Graph, equation: Equation, x: Value, outside: Value) -> Value | None:
    around = equation.params["padding_config"]
    if around[0] != (0, 0, 0) or any(between for _, _, between in around):
        return None
    return graph.add("Pad", x, np.array(_ends([(low, high) for low, high, _ in around]), np.int64), outside)


def _power(graph: _Graph, equation: Equation, x: Value) -> Value:
    return graph.add("Pow", x, np.array(equation.params["y"], np.float32))


def _rsqrt(graph: _Graph, equation: Equation, x: Value) -> Value:
    return graph.add("Reciprocal", graph.add("Sqrt", x))


def _square(graph: _Graph, equation: Equation, x: Value) -> Value:
    return graph.add("Mul", x, x)


def _same(graph: _Graph, equation: Equation, x: Value) -> Value:
    return x


_CALLS = frozenset(("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"))

_ELEMENTWISE = {
    "abs": "Abs",
    "add": "Add",
    "div": "Div",
    "exp": "Exp",
    "log": "Log",
    "logistic": "Sigmoid",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
}

_RULES: dict[str, Callable[..., Value | None]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenation,
    "conv_general_dilated": _convolution,
    "copy": _same,
    "dot_general": _product,
    "integer_pow": _power,
    "pad": _padding,
    "reduce_max": _reduction,
    "reduce_min": _reduction,
    "reduce_sum": _reduction,
    "reduce_window_max": _pool,
    "reduce_window_sum": _pool,
    "reshape": _reshape,
    "rsqrt": _rsqrt,
    "slice": _slice,
    "square": _square,
    "squeeze": _reshape,
    "stop_gradient": _same,
    "transpose": _transpose,
}
