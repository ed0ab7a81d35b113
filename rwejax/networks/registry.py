"""The lowerings of spaces by their classes."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.networks import cells, macro, nasbench201, nasbench_macro
from rwejax.networks.forms import Form
from rwejax.networks.lowering import Lowering
from rwejax.networks.program import Network
from rwejax.spaces import Darts, Macro, Micro, NASBench201, NASBenchMacro, Space

_LOWERINGS: dict[type, Lowering] = {
    Macro: macro.LOWERING,
    Micro: cells.LOWERING,
    Darts: cells.LOWERING,
    NASBench201: nasbench201.LOWERING,
    NASBenchMacro: nasbench_macro.LOWERING,
}


def lowering_of(space: Space) -> Lowering:
    """What makes the genomes of a space run.

    Args:
        space: of a class that was registered.

    Raises:
        InputError: the space has no lowering.
    """
    if type(space) not in _LOWERINGS:
        raise InputError(f"space {space.name!r} has no lowering: give it one with rwejax.register_space")
    return _LOWERINGS[type(space)]


def forms_of(network: Network) -> Mapping[type[nn.Module], Form]:
    """How the operations of a registered space's network are written in an exported `network.py`.

    Args:
        network: what `rwejax.networks.network` gives for a space.

    Raises:
        InputError: no lowering says it of all of them.
    """
    used = operations_of(network)
    known = [lowering.forms for lowering in _LOWERINGS.values()]
    forms = max(known, key=lambda forms: sum(kind in forms for kind in used))
    for kind in used:
        if kind not in forms:
            raise InputError(
                f"operation {kind.__name__!r} has no export form: add one to the forms of its space's Lowering"
            )
    return forms


def operations_of(network: Network) -> list[type[nn.Module]]:
    """The types of its modules, each once."""
    return list(dict.fromkeys(type(kind.module) for group in network.groups for _, kind in group.kinds))


def register_space(space_class: Any, lowering: Lowering) -> None:
    """Make a space of your own known by its name, to `rwejax.search`, `train`, `correlate`, `export` and the commands.

    A file that defines a space ends with this call, so that `rwejax search --space FILE.py:CLASS` and an import of the
    file both work; docs/how-to/own-space.md is such a file.

    Args:
        space_class: a frozen dataclass with what `rwejax.spaces.Space` lists; all of its fields have defaults.
        lowering: how its genomes run, and how its operations are exported.

    Raises:
        InputError: something is missing, or another space has the name.

    Examples:
        >>> from rwejax import networks, spaces
        >>> register_space(spaces.Macro, networks.macro.LOWERING)  # the same class again changes nothing
    """
    spaces.check(space_class)
    called = f"the lowering of space {space_class.name!r}"
    if not isinstance(lowering, Lowering):
        raise InputError(f"{called} is {lowering!r}: give a rwejax.networks.Lowering(network, add_rows, forms)")
    used = operations_of(lowering.network(space_class(), 1))
    missing = [kind.__name__ for kind in used if kind not in lowering.forms]
    if missing:
        raise InputError(
            f"{called} has no export form for {', '.join(missing)}: add to its forms a plain Flax class, or a function "
            "that writes an expression, for each"
        )
    for known in [known for known in _LOWERINGS if known.name == space_class.name]:  # type: ignore[attr-defined]
        del _LOWERINGS[known]
    _LOWERINGS[space_class] = lowering
    spaces.register(space_class)
