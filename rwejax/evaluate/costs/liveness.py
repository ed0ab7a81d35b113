"""The most bytes of arrays that are alive at once while a function runs, by the liveness of its jaxpr's values.

What counts is an array that depends on the data; what comes of the weights and of constants alone does not.

- Convolutions, products, concatenations, reductions and whatever else changes the number of values make an array of
  their own, and read arrays that are there, but for concatenations, which compute what they copy as they go. A
  conditional, such as a choice of platform, is one such operation, unless its predicate is a constant.
- Elementwise operations, slices, paddings and other moves are fused: they make one array for what reads them, which
  replaces one of the same size that they read value by value and that nothing reads later. So a pool makes one array,
  and normalisation and ReLU behind a convolution make none.
- The data themselves belong to the caller, who holds them to the end: nothing replaces them, and they do not count.
- An array that nothing reads on the way to the result is never made.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

_MAKERS = frozenset(
    ("conv_general_dilated", "dot_general", "concatenate", "cond", "while", "scan", "sort", "gather", "dynamic_slice")
)
_MOVES = frozenset(("slice", "pad", "transpose", "broadcast_in_dim", "rev", "squeeze", "expand_dims"))


def peak_bytes(function: Callable[..., Any], variables: Any, data: Any) -> int:
    """The most bytes that are alive at once inside a function, its result among them.

    Args:
        function: of the variables and the data, to one array.
        variables: weights and statistics, as arrays or shapes.
        data: arrays or shapes.
    """
    closed = jax.make_jaxpr(function)(variables, data)
    known = len(jax.tree.leaves(variables))
    trace = _Trace()
    inputs = [None] * known + [_Value(0, held=True) for _ in jax.tree.leaves(data)]
    (result,) = trace.run(closed.jaxpr, inputs)
    return _peak(trace.steps, trace.array(result)) if result is not None else 0


class _Value:
    """Something that depends on the data: an array, or what is fused into the arrays that are made of it.

    Attributes:
        size: bytes.
        held: whether it is the caller's.
        reads: of a fused value, what it is made of, each with whether it is read value by value; None for an array.
    """

    def __init__(self, size: int, held: bool = False, reads: "list[tuple[_Value, bool]] | None" = None) -> None:
        self.size, self.held, self.reads = size, held, reads


class _Step(NamedTuple):
    """An array is made.

    Attributes:
        made: the array.
        reads: the arrays that are read.
        replaceable: those among them whose place it can take.
    """

    made: _Value
    reads: set[_Value]
    replaceable: set[_Value]


class _Trace:
    """Goes through a jaxpr, and notes which arrays are made of which; None stands for what no data enters."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []

    def run(self, jaxpr: Jaxpr, inputs: Sequence[_Value | None]) -> list[_Value | None]:
        """The values of a jaxpr's results."""
        values: dict[Any, _Value | None] = dict(zip(jaxpr.invars, inputs, strict=True))

        def value(atom: Any) -> _Value | None:
            return None if isinstance(atom, Literal) else values.get(atom)

        needed = _needed(jaxpr)
        for equation, used in zip(jaxpr.eqns, needed, strict=True):
            if used:
                results = self._apply(equation, [value(atom) for atom in equation.invars])
                values.update(zip(equation.outvars, results, strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    def _apply(self, equation: JaxprEqn, operands: list[_Value | None]) -> list[_Value | None]:
        if not any(operands):
            return [None] * len(equation.outvars)
        inner = _called(equation)
        if inner is not None:
            return self.run(inner, operands[-len(inner.invars) :])
        name = equation.primitive.name
        reads = [each for each in operands if each is not None]
        results = [_Value(_bytes(variable.aval)) for variable in equation.outvars]
        lengths = {_length(atom.aval) for atom, operand in zip(equation.invars, operands, strict=True) if operand}
        same = len(lengths.union(_length(variable.aval) for variable in equation.outvars)) == 1
        if name not in _MAKERS and (name in _MOVES or same):
            for result in results:
                result.reads = [(read, name not in _MOVES) for read in reads]
            return list(results)
        if name == "concatenate":
            sources = set().union(*(_arrays(read) for read in reads))
        else:
            sources = {self.array(read) for read in reads}
        self.steps += [_Step(result, sources, set()) for result in results]
        return list(results)

    def array(self, value: _Value) -> _Value:
        """The value as an array, which is made now if it has been fused so far."""
        if value.reads is not None:
            reads = _arrays(value)
            self.steps.append(_Step(value, set(reads), {read for read, by_value in reads.items() if by_value}))
            value.reads = None
        return value


def _arrays(value: _Value) -> dict[_Value, bool]:
    """The arrays that a value is made of, and whether each is read value by value alone."""
    if value.reads is None:
        return {value: True}
    found: dict[_Value, bool] = {}
    for read, by_value in value.reads:
        for each, of_each in _arrays(read).items():
            found[each] = found.get(each, True) and by_value and of_each
    return found


def _peak(steps: list[_Step], result: _Value) -> int:
    last = {read: number for number, step in enumerate(steps) for read in step.reads}
    last[result] = len(steps)
    alive = peak = 0
    for number, (made, reads, replaceable) in enumerate(steps):
        ending = {read for read in reads if last[read] == number and not read.held}
        replaced = next((read for read in ending & replaceable if read.size == made.size), None)
        alive += 0 if replaced else made.size
        peak = max(peak, alive)
        alive -= sum(read.size for read in ending if read is not replaced)
    return peak


def _needed(jaxpr: Jaxpr) -> list[bool]:
    """Whether the results need each equation."""
    wanted = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    needed = []
    for equation in reversed(jaxpr.eqns):
        needed.append(not wanted.isdisjoint(equation.outvars))
        if needed[-1]:
            wanted.update(atom for atom in equation.invars if not isinstance(atom, Literal))
    return needed[::-1]


def _called(equation: JaxprEqn) -> Jaxpr | None:
    """The jaxpr that an equation stands for: of a function that it calls, or of the branch that a constant chooses."""
    if equation.primitive.name == "cond":
        index = equation.invars[0]
        return equation.params["branches"][int(index.val)].jaxpr if isinstance(index, Literal) else None
    if equation.primitive.name in _MAKERS:
        return None
    inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    return inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner


def _bytes(aval: Any) -> int:
    return _length(aval) * aval.dtype.itemsize


def _length(aval: Any) -> int:
    return math.prod(aval.shape)
