"""DARTS' text of two cells, which NASNet's, AmoebaNet's and NSGA-Net's micro cells are published in as well.

    Genotype(normal=[('operation', input), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))

Two pairs are a block. It may be any Python writing of that: over several lines, with lists for ranges, in a file, after
`name = `, without names of the arguments in their order above, or as a dictionary with their names as keys.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from rwejax.errors import quoted
from rwejax.spaces import literals

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")

FORM = "Genotype(normal=[('operation', 0), ...], normal_concat=[2, ...], reduce=[...], reduce_concat=[2, ...])"

CELLS = ("normal", "reduction")

Branches = tuple[Int[np.ndarray, "2 blocks 2"], Int[np.ndarray, "2 blocks 2"]]

# What the same operation is called by those who published the cells that are read here.
_ALIASES = {
    "identity": "skip_connect",
    "conv_1x7_7x1": "conv_7x1_1x7",
    "separable_3x3_2": "sep_conv_3x3",
    "separable_5x5_2": "sep_conv_5x5",
    "separable_7x7_2": "sep_conv_7x7",
}


def read(
    text: str,
    blocks: int,
    operations: Sequence[str],
    outputs: Callable[[Int[np.ndarray, "blocks 2"]], Bool[np.ndarray, " blocks"]],
    differ: bool,
) -> Branches:
    """The operations' numbers and their inputs, of both cells.

    Args:
        text: of a genotype.
        blocks: of a cell.
        operations: names that are known.
        outputs: of a cell's inputs, the blocks that the space concatenates.
        differ: whether the two inputs of a block must be different.

    Raises:
        ValueError: it is no genotype of such cells; the words go on behind the text that they are about.
    """
    try:
        fields = _fields(literals.parse(text))
    except ValueError as error:
        raise ValueError(f" {error}") from error
    ops = np.zeros((len(CELLS), blocks, 2), np.int32)
    inputs = np.zeros_like(ops)
    for number, (cell, branches, concat) in enumerate(zip(CELLS, fields[::2], fields[1::2], strict=True)):
        ops[number], inputs[number] = _cell(cell, branches, blocks, operations, differ)
        _check_concat(FIELDS[2 * number + 1], concat, 2 + np.flatnonzero(outputs(inputs[number])))
    return ops, inputs


def _fields(value: Any) -> list[Any]:
    """The four fields in order."""
    call = value if isinstance(value, literals.Call) else None
    if call is not None and call.name == "Genotype":
        given = dict(zip(FIELDS, call.positional, strict=False))
        if len(call.positional) > len(FIELDS) or set(given) & set(call.keywords):
            raise ValueError(f"gives more than the {len(FIELDS)} fields {', '.join(FIELDS)}")
        given |= call.keywords
    elif isinstance(value, dict):
        given = value
    else:
        raise ValueError(f"calls {quoted(call.name)} and not Genotype" if call else "is no genotype")
    for name in FIELDS:
        if name not in given:
            raise ValueError(f"has no {name}")
    for name in given:
        if name not in FIELDS:
            raise ValueError(f"has {quoted(name)}, which is none of {', '.join(FIELDS)}")
    return [given[name] for name in FIELDS]


def _cell(
    cell: str, branches: Any, blocks: int, operations: Sequence[str], differ: bool
) -> tuple[list[list[int]], list[list[int]]]:
    if not isinstance(branches, list | tuple) or isinstance(branches, literals.Call):
        raise ValueError(f": the {cell} cell is no list of pairs ('operation', input)")
    if len(branches) != 2 * blocks:
        raise ValueError(f": the {cell} cell has {len(branches)} operations, and {blocks} blocks have {2 * blocks}")
    ops: list[list[int]] = []
    inputs: list[list[int]] = []
    for block in range(blocks):
        pair = [_branch(cell, block, branch, branches[2 * block + branch], operations) for branch in (0, 1)]
        ops.append([op for op, _ in pair])
        inputs.append([source for _, source in pair])
        if differ and inputs[-1][0] == inputs[-1][1]:
            raise ValueError(
                f": {_place(cell, block, 1)} has input {inputs[-1][0]}, as branch 1 has: the two must differ"
            )
    return ops, inputs


def _branch(cell: str, block: int, branch: int, written: Any, operations: Sequence[str]) -> tuple[int, int]:
    where = _place(cell, block, branch)
    if not isinstance(written, list | tuple) or isinstance(written, literals.Call) or len(written) != 2:
        raise ValueError(f": {where} is not ('operation', input)")
    op, source = written
    op = _ALIASES.get(op, op) if isinstance(op, str) else op
    if op not in operations:
        raise ValueError(f": {where} has operation {quoted(str(op))}, not one of {', '.join(operations)}")
    if type(source) is not int or not 0 <= source < 2 + block:
        raise ValueError(f": {where} has input {quoted(str(source))}, not one of 0 to {1 + block}")
    return operations.index(op), source


def _place(cell: str, block: int, branch: int) -> str:
    return f"branch {branch + 1} of block {block + 1} of the {cell} cell"


def _check_concat(name: str, concat: Any, nodes: Int[np.ndarray, " outputs"]) -> None:
    """The order of what is concatenated only numbers channels."""
    listed = isinstance(concat, list | tuple) and not isinstance(concat, literals.Call)
    if not listed or not all(type(node) is int for node in concat) or sorted(concat) != nodes.tolist():
        raise ValueError(f" has {name} {quoted(str(concat))}, where the space concatenates {nodes.tolist()}")
