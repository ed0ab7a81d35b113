"""The definitions that code uses, gathered from the modules where they stand, so that the code needs none of these."""

import ast
import builtins
import functools
import graphlib
import importlib
import importlib.util
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from rwejax.errors import InputError
from rwejax.networks import plain_operations

_OWN = "rwejax"


class _Module(NamedTuple):
    """A module's own lines, and what its top-level names are."""

    lines: list[str]
    imports: dict[str, tuple[str, str | None]]  # by the bound name: the module, and the name in it
    definitions: dict[str, ast.stmt]


class _Found:
    """What has been gathered.

    Attributes:
        imports: lines.
        names: by module what is used of it.
    """

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.names: dict[str, set[str]] = {}
        self._read: defaultdict[str, list[str]] = defaultdict(list)
        self.parse = functools.cache(_parse)
        self._seen: dict[str, str] = {}

    def add(self, module: str, name: str) -> None:
        """Gather a top-level name of a module and all that it uses; what the module does not have is Python's."""
        parsed = self.parse(module)
        if name in parsed.imports:
            self._add_import(module, name, *parsed.imports[name])
        if name not in parsed.definitions or self._seen.get(name) == module:
            return
        if name in self._seen:
            raise InputError(f"operations of {module} and {self._seen[name]} are both called {name!r}: rename one")
        self._seen[name] = module
        for each in sorted(_names(parsed.definitions[name])):
            self.add(module, each)
        self.names.setdefault(module, set()).add(name)

    def definitions(self) -> list[str]:
        """The texts, each before those that use it."""
        texts = []
        # Without edges, the sorter keeps the order in which modules were met.
        for module in graphlib.TopologicalSorter({**{name: [] for name in self.names}, **self._read}).static_order():
            parsed, used = self.parse(module), self.names.get(module, ())
            texts += [_text(parsed, node) for name, node in parsed.definitions.items() if name in used]
        return texts

    def _add_import(self, user: str, bound: str, module: str, name: str | None) -> None:
        if name is not None and module.partition(".")[0] in (_OWN, user.partition(".")[0]):
            if bound != name:
                raise InputError(
                    f"{user} imports {name!r} as {bound!r}: leave the name as it is, or it cannot be copied"
                )
            parsed = self.parse(module)
            if name not in parsed.definitions and name not in parsed.imports:
                raise InputError(f"an operation of {user} uses the module {name}: import single names from it")
            self._read[user].append(module)
            return self.add(module, name)
        if module.partition(".")[0] == _OWN:
            raise InputError(f"an operation of {user} uses the module {bound}: import single names from it")
        if name is None:
            self.imports.add(f"import {module}" if bound == module else f"import {module} as {bound}")
        else:
            self.imports.add(f"from {module} import {name}" + ("" if bound == name else f" as {bound}"))
        return None


def gather(code: str, objects: Iterable[Any]) -> tuple[str, list[str]]:
    """The imports and definitions that code uses.

    Args:
        code: may use `jax`, `jnp`, `nn` and the objects by their names.
        objects: classes and functions, each of which stands at the top level of a module that has a file.

    Returns:
        The lines of imports, and the definitions in an order in which each comes before what uses it.

    Raises:
        InputError: the code uses another name, a source cannot be read, or two definitions have one name.
    """
    found, tree = _Found(), ast.parse(code)
    known = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    known |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | set(dir(builtins))
    for each in objects:
        found.add(each.__module__, each.__name__)
        if each.__name__ not in found.names.get(each.__module__, ()):
            raise InputError(f"operation {each.__qualname__!r} cannot be copied: define it at the top level of a file")
        known.add(each.__name__)
    base = plain_operations.__name__
    for name in sorted(_names(tree) - known):
        if name not in found.parse(base).imports:
            raise InputError(f"an export form writes {name!r}: use jax, jnp, nn and what Writer.call calls")
        found.add(base, name)
    imports = sorted(found.imports, key=lambda line: (line.startswith("from"), line))
    return "\n".join(imports), found.definitions()


def _text(module: _Module, node: ast.stmt) -> str:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    return "\n".join(module.lines[first - 1 : node.end_lineno])


def _parse(name: str) -> _Module:
    module = sys.modules.get(name) or importlib.import_module(name)
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise InputError(f"the source of module {name!r} cannot be read: define its operations in a file") from error
    imports: dict[str, tuple[str, str | None]] = {}
    definitions: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.Import(names=aliases):
                imports |= {each.asname or each.name.partition(".")[0]: (each.name, None) for each in aliases}
            case ast.ImportFrom(names=aliases, module=source, level=level):
                where = importlib.util.resolve_name("." * level + (source or ""), module.__package__ or "")
                imports |= {each.asname or each.name: (where, each.name) for each in aliases}
            case ast.ClassDef(name=defined) | ast.FunctionDef(name=defined):
                definitions[defined] = node
            case ast.Assign(targets=[ast.Name(id=defined)]) | ast.AnnAssign(target=ast.Name(id=defined)):
                definitions[defined] = node
    return _Module(text.splitlines(), imports, definitions)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
