"""Python texts of other tools, read as data: nothing in them is ever executed.

A text is one expression, such as `Genotype(normal=[...], ...)`, a list or a dictionary; `name = ` may come before it,
and so may the rest of a file that defines a single genotype.
"""

import ast
import warnings
from typing import Any, NamedTuple

LONGEST = 100_000
"""Characters of a text that is read."""

_LONGEST_RANGE = 1000
_NAMES = 20  # that a sentence lists


class Call(NamedTuple):
    """A call that is written down.

    Attributes:
        name: of the function, without the modules before it.
        positional: the arguments without names.
        keywords: those with names.
    """

    name: str
    positional: tuple[Any, ...]
    keywords: dict[str, Any]


def parse(text: str) -> Any:
    """What a text holds: numbers, strings, lists, tuples, dictionaries, ranges as tuples, and `Call`s.

    Args:
        text: of an expression, a definition, or a file with a single definition of a genotype.

    Raises:
        ValueError: it is none of these; the words go on behind the text that they are about.

    Examples:
        >>> parse("DARTS = genotypes.Genotype(normal_concat=range(2, 4), reduce=[('none', 0)])")
        Call(name='Genotype', positional=(), keywords={'normal_concat': (2, 3), 'reduce': [('none', 0)]})
    """
    if len(text) > LONGEST:
        raise ValueError(f"has {len(text)} characters, of which at most {LONGEST} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in strings
            module = ast.parse(text.strip())
        return _value(_chosen(module))
    except SyntaxError as error:
        line, character = error.lineno or 1, error.offset or 1
        where = f"line {line}, character {character}" if "\n" in text.strip() else f"character {character}"
        raise ValueError(f"is no Python text at {where} ({error.msg.partition('. ')[0]})") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("is nested too deeply") from error


def _chosen(module: ast.Module) -> ast.expr:
    """The one expression that counts."""
    if len(module.body) == 1:
        value = _assigned(module.body[0])
        if value is not None:
            return value
    named = [
        (getattr(statement.targets[0], "id", "?"), statement.value)
        for statement in module.body
        if isinstance(statement, ast.Assign) and _called(statement.value) == "Genotype"
    ]
    if len(named) > 1:
        names = ", ".join(name for name, _ in named[:_NAMES]) + ", ..." * (len(named) > _NAMES)
        raise ValueError(f"holds {len(named)} genotypes, {names}: give the definition of one")
    if not named:
        raise ValueError("defines no genotype")
    return named[0][1]


def _assigned(statement: ast.stmt) -> ast.expr | None:
    return statement.value if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) else None


def _called(node: ast.expr) -> str | None:
    """The name of the function that is called."""
    if not isinstance(node, ast.Call):
        return None
    return getattr(node.func, "id", getattr(node.func, "attr", None))


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if isinstance(value, int | float):
            return -value
    if isinstance(node, ast.List):
        return [_value(each) for each in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(each) for each in node.elts)
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _value(key) for key in node.keys]
        if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys):
            return dict(zip(keys, map(_value, node.values), strict=True))
    name = _called(node)
    if isinstance(node, ast.Call) and name:
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("has ** in a call: write its arguments out")
        keywords = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
        call = Call(name, tuple(map(_value, node.args)), keywords)
        return _range(call) if name == "range" else call
    if isinstance(node, ast.Name):
        raise ValueError(f"has the name {node.id!r}, whose definition is elsewhere: give that")
    where = f"line {node.lineno}, character {node.col_offset + 1}"
    raise ValueError(f"has at {where} neither a number, a string, a list nor a call")


def _range(call: Call) -> tuple[int, ...]:
    ends = call.positional
    if call.keywords or not 1 <= len(ends) <= 3 or not all(type(end) is int for end in ends) or ends[2:] == (0,):
        raise ValueError("has a range of other things than one to three integers")
    found = range(*ends)
    if max(map(abs, ends)) > _LONGEST_RANGE:
        raise ValueError(f"has a range beyond {_LONGEST_RANGE}")
    return tuple(found)
