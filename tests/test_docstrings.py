"""Docstrings of public callables: Google's sections, complete.

No linter holds this alone: Ruff has no rule that demands `Args:`, and pydoclint, where it does, demands `Returns:` of
every function too and refuses the `Raises:` of what a function calls. So the rule stands here, in full:

- Public is what has no leading underscore in its name, nor in that of its class or module; and `__init__`, which the
  docstring of its class describes.
- One with two or more arguments has `Args:` that names them all, in order; one with a single argument where its
  docstring is longer than its first line. A single argument may be explained in that line.
- One that raises has `Raises:` that names the classes; that of what it calls may stand there too.
- `Examples:` is the section with code to run; `Example:` is none to mkdocstrings, which would show `>>>` as quotes.
"""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docstring_parser import DocstringStyle, parse

PACKAGE = Path(__file__).parents[1] / "rwejax"
ROOMS = sorted({path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")})

Function = ast.FunctionDef | ast.AsyncFunctionDef
_EXAMPLE = re.compile(r" *Example:$")


def functions(body: list[ast.stmt], owner: ast.ClassDef | None = None) -> Iterator[tuple[Function, str]]:
    """Public functions and methods, each with the docstring that describes it."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, node)
        elif isinstance(node, Function) and (node.name == "__init__" or not node.name.startswith("_")):
            described = owner if owner is not None and node.name == "__init__" else node
            yield node, ast.get_docstring(described) or ""


def arguments(function: Function) -> list[str]:
    """Names as `Args:` gives them."""
    given = function.args
    named = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [each.arg for each in named if each is not None and each.arg not in ("self", "cls") and each.arg[0] != "_"]


def raised(body: list[ast.AST]) -> set[str]:
    """The classes that a body raises and does not catch; functions that make an exception count as its base."""
    found = set()
    for node in body:
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue  # what a function inside raises, its caller may catch
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            found.add(name if name[0].isupper() else "")
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Try):
            found |= {name for name in raised(node.body) if not any(catches(each, name) for each in node.handlers)}
            children = [*node.handlers, *node.orelse, *node.finalbody]
        found |= raised(children)
    return found


def catches(handler: ast.ExceptHandler, name: str) -> bool:
    """Whether a handler catches a class, told by their names."""
    caught = {each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)} if handler.type else {name}
    kinds = {each.__name__ for each in getattr(getattr(builtins, name, None), "__mro__", [])} | {name, "Exception"}
    return bool(caught & kinds)


def faults(text: str) -> list[str]:
    """What is missing in the docstrings of a module, each fault with its line."""
    found = []
    for function, docstring in functions(ast.parse(text).body):
        parsed, names = parse(docstring, DocstringStyle.GOOGLE), arguments(function)
        described = [each.arg_name.lstrip("*") for each in parsed.params if each.args[0] == "param"]
        if (len(names) > 1 or (names and len(docstring.splitlines()) > 1)) and described != names:
            found.append(f"{function.lineno}: {function.name} has Args: {described}, its arguments are {names}")
        missing = raised(function.body) - {each.type_name for each in parsed.raises}
        if missing and not (missing == {""} and parsed.raises):
            found.append(f"{function.lineno}: {function.name} has no Raises: for {sorted(missing)}")
    lines = enumerate(text.splitlines(), 1)
    return found + [f"{number}: Example: is no section, Examples: is" for number, line in lines if _EXAMPLE.match(line)]


def faults_of(room: str) -> list[str]:
    paths = [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).rglob("*.py"))
    public = [path for path in paths if not path.name.startswith("_") or path.name == "__init__.py"]
    return [f"{path.relative_to(PACKAGE)}:{fault}" for path in public for fault in faults(path.read_text())]


@pytest.mark.parametrize("room", ROOMS)
def test_public_callables_say_what_they_take_and_raise(room):
    assert faults_of(room) == []


@pytest.mark.parametrize(
    ("signature", "docstring", "body", "fault"),
    [
        ("f(a, b)", "Adds.", "pass", "1: f has Args: [], its arguments are ['a', 'b']"),
        ("f(a, *, b)", "Adds.\n\n    Args:\n        a: one.\n", "pass", "its arguments are ['a', 'b']"),
        ("f(b, a)", "Adds.\n\n    Args:\n        a: one.\n        b: another.\n", "pass", "Args: ['a', 'b']"),
        ("f(a)", "Adds.\n\n    More.\n", "pass", "its arguments are ['a']"),
        ("f(a)", "Adds.", "raise ValueError(a)", "1: f has no Raises: for ['ValueError']"),
        ("f(a)", "Adds.", "raise broken(a)", "1: f has no Raises: for ['']"),
        ("f(a)", "Adds.", "try: raise OSError(a)\n    except KeyError: pass", "1: f has no Raises: for ['OSError']"),
        ("f(a)", "Adds.", "try: a()\n    except KeyError: raise OSError(a)", "1: f has no Raises: for ['OSError']"),
        ("f(a)", "Adds.", "try: raise PermissionError(a)\n    except OSError: pass", None),
        ("f(a, **b)", "Adds.\n\n    Args:\n        a: one.\n        b: others.\n", "pass", None),
        ("f(a)", "Adds to a.", "pass", None),
        ("f()", "Adds.\n\n    Raises:\n        ValueError: always.\n", "raise ValueError", None),
        ("_f(a, b)", "Adds.", "raise ValueError(a)", None),
        (
            "f(a)",
            "Adds.\n\n    Args:\n        a: one.\n\n    Example:\n        >>> f(1)\n",
            "pass",
            "Example: is no section",
        ),
    ],
)
def test_the_rule_itself(signature, docstring, body, fault):
    found = faults(f'def {signature}:\n    """{docstring}"""\n    {body}\n')
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]
