"""What compiled text says would run: the kernels of every computation, and the loops and branches between them."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Where = Any
"""What a schedule knows of a place in the compiled code; None at its beginning."""

_NO_KERNELS = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "opt-barrier", "after-all", "partition-id"),
    *("while", "conditional", "call"),  # what is in them is counted
    *("AllocateBuffer", "ConcatBitcast"),  # names that a TPU's compiler gives to nothing but memory
}
_ARRAY = re.compile(r"([a-z]+)(\d*)\[([\d,]*)\](?:\{([\d,]*)(?::T\(([\d,]+)\))?)?")
_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")


@dataclass
class Instruction:
    """One line of a computation.

    Attributes:
        name: of its result.
        shape: of its result, as text.
        operation: what it does; of a custom call its target.
        rest: operands and attributes, as text.
        path: the scopes of the code that it comes from, such as `jit(evaluate)/nodes1/while/body`.
    """

    name: str
    shape: str
    operation: str
    rest: str
    path: str

    @property
    def is_kernel(self) -> bool:
        """Whether it is work of its own: neither bookkeeping, nor scalar arithmetic, nor the end of a copy."""
        if re.fullmatch(r"\w+\[\](\{.*\})?", self.shape) and self.operation not in ("fusion", "copy"):
            return False
        return self.operation not in _NO_KERNELS and not self.operation.endswith(("-done", "-update"))

    @property
    def cycles(self) -> int:
        """The compiler's estimate, where it gives one; a TPU's does."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.rest)
        return int(found.group(1)) if found else 0

    @property
    def written(self) -> tuple[int, int]:
        """Bytes of its result, and those that they take where the device pads the last axes of its layout to tiles.

        What is written into a larger array, which its result is, counts where it was computed.
        """
        if re.search("dynamic.update.slice|scatter", f"{self.name} {self.operation}"):
            return 0, 0
        sizes = [_sizes(*array) for array in _ARRAY.findall(self.shape)]
        return sum(plain for plain, _ in sizes), sum(padded for _, padded in sizes)

    def named(self, attribute: str) -> str:
        """The computation that an attribute names."""
        found = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.rest)
        assert found, f"{self.name} has no {attribute}"
        return found.group(1)


class Schedule(Protocol):
    """How often a population's program takes loops and branches whose way the compiled code does not know."""

    def turns(self, path: str, where: Where) -> tuple[float, Where] | None:
        """Turns of a loop, and where its body is; None if it knows nothing of it."""

    def shares(self, path: str, branches: int, where: Where) -> list[tuple[float, Where]] | None:
        """Of each branch how often it is taken, in shares of 1, and where it is; None if it knows nothing of it."""


@dataclass
class Run:
    """What a call runs.

    Attributes:
        kernels: how many of each operation.
        turns: times that the condition of a loop of unknown length is looked at.
        branches: times that a branch is chosen.
        cycles: of all kernels, by the compiler's estimate.
        without_estimate: kernels of which it gives none.
        written: bytes of the results of kernels.
        padded: the same as the device pads them.
        inside: kernels of the scope that was asked about.
        guessed: loops that the data ends, which count as one turn, and branches that the data chooses, which count as
            the mean of their ways; by where they come from.
    """

    kernels: Counter[str] = field(default_factory=Counter)
    turns: float = 0.0
    branches: float = 0.0
    cycles: float = 0.0
    without_estimate: float = 0.0
    written: float = 0.0
    padded: float = 0.0
    inside: float = 0.0
    guessed: set[str] = field(default_factory=set)


class Module:
    """A compiled module.

    Args:
        text: `compiled.as_text()`.
    """

    def __init__(self, text: str) -> None:
        self._computations: dict[str, list[Instruction]] = {}
        self._entry = name = ""
        for line in text.splitlines():
            if header := _HEADER.match(line):
                name = header.group(2)
                self._computations[name] = []
                self._entry = name if header.group(1) else self._entry
            elif name and (found := _INSTRUCTION.match(line)):
                self._computations[name].append(_instruction(*found.groups()))

    def run(self, schedule: Schedule, scope: str) -> Run:
        """What a call runs.

        Args:
            schedule: of a population.
            scope: a part of the paths whose kernels are counted apart.
        """
        return _Count(self._computations, schedule, scope).of(self._entry)


@dataclass
class _Count:
    """Counts what a call runs."""

    computations: dict[str, list[Instruction]]
    schedule: Schedule
    scope: str
    found: Run = field(default_factory=Run)

    def of(self, entry: str) -> Run:
        self._add(entry, 1.0, None, False)
        return self.found

    def _add(self, name: str, times: float, where: Where, inside: bool) -> None:
        if not times:
            return
        for each in self.computations[name]:
            if each.operation == "while":
                self._add_loop(each, times, where, inside or self.scope in each.path)
            elif each.operation == "conditional":
                self.found.branches += times
                for branch, share, there in self._ways(each, where):
                    self._add(branch, times * share, there, inside)
            elif each.operation == "call":
                self._add(each.named("to_apply"), times, where, inside)
            elif each.is_kernel:
                self.found.kernels[each.operation] += times
                self.found.cycles += times * each.cycles
                self.found.without_estimate += times * (not each.cycles)
                written, padded = each.written
                self.found.written += times * written
                self.found.padded += times * padded
                self.found.inside += times * (inside or self.scope in each.path)

    def _add_loop(self, loop: Instruction, times: float, where: Where, inside: bool) -> None:
        condition, there = loop.named("condition"), where
        turns = self._known_turns(loop, condition)
        if turns is None:
            known = self.schedule.turns(loop.path, where)
            turns, there = (1.0, where) if known is None else known
            if known is None:
                self.found.guessed.add(loop.path)
            # It is looked at once more than the loop turns.
            self.found.turns += times * (turns + 1)
            self._add(condition, times * (turns + 1), there, inside)
        self._add(loop.named("body"), times * turns, there, inside)

    def _known_turns(self, loop: Instruction, condition: str) -> float | None:
        """Turns that the compiler has written down, or that a loop from 0 by ones to a constant has."""
        if known := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.rest):
            return float(known.group(1))
        *others, last = self.computations[condition]
        values = {each.name: each.rest.partition(")")[0] for each in others if each.operation == "constant"}
        constants = {name: int(value) for name, value in values.items() if value.isdecimal()}  # not of vectors, {2}
        bound = re.match(r"%?[\w.\-]+, %?([\w.\-]+)\), direction=LT", last.rest)
        return float(constants[bound.group(1)]) if bound and bound.group(1) in constants else None

    def _ways(self, chosen: Instruction, where: Where) -> Iterator[tuple[str, float, Where]]:
        """The branches of a conditional with their shares; where none is known, all have the same."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", chosen.rest)
        names = (
            listed.group(1).replace("%", "").split(", ")
            if listed
            else [chosen.named("false_computation"), chosen.named("true_computation")]
        )
        # XLA may turn two branches round; their own paths say which is which.
        numbers = [self._number(name, chosen.path) for name in names]
        names = [names[k] for k in np.argsort([k if each is None else each for k, each in enumerate(numbers)])]
        shares = self.schedule.shares(chosen.path, len(names), where)
        if shares is None:
            self.found.guessed.add(chosen.path)
            shares = [(1 / len(names), where)] * len(names)
        return ((name, share, there) for name, (share, there) in zip(names, shares, strict=True))

    def _number(self, branch: str, path: str) -> int | None:
        within = re.compile(re.escape(path) + r"/branch_(\d+)_fun")
        found = (within.match(each.path) for each in self.computations[branch])
        return next((int(number.group(1)) for number in found if number), None)


def _instruction(name: str, shape: str, operation: str, rest: str) -> Instruction:
    if operation == "custom-call" and (target := re.search(r'custom_call_target="([^"]*)"', rest)):
        operation = target.group(1)
    path = re.search(r'op_name="([^"]*)"', rest)
    return Instruction(name, shape, operation, rest, path.group(1) if path else "")


def _sizes(kind: str, bits: str, shape: str, layout: str, tile: str) -> tuple[int, int]:
    """Bytes of an array, and of its tiles; the first axis of a layout is the last one in memory."""
    width = max(1, int(bits or 8) // 8) if kind != "token" else 0
    lengths = [int(each) for each in shape.split(",") if each]
    order = [int(axis) for axis in layout.split(",") if axis]
    padded = [lengths[axis] for axis in order] if order else lengths[::-1]
    for k, size in enumerate(int(each) for each in reversed(tile.split(",")) if each):
        if k < len(padded):
            padded[k] = -(-padded[k] // size) * size
    return width * math.prod(lengths), width * math.prod(padded)
