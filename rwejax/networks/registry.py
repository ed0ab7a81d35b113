"""The lowerings of spaces by their classes."""

import flax.linen as nn

from rwejax.errors import InputError
from rwejax.networks import cells, macro, nasbench201, nasbench_macro
from rwejax.networks.forms import Form
from rwejax.networks.lowering import Lowering
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

    Raises:
        InputError: the space has no lowering.
    """
    if type(space) not in _LOWERINGS:
        raise InputError(f"space {space.name!r} has no lowering: give it one with rwejax.register_space")
    return _LOWERINGS[type(space)]


def form_of(module: nn.Module) -> Form:
    """How an operation of a registered space is written in an exported `network.py`.

    Raises:
        InputError: no lowering says it.
    """
    kind = type(module)
    for lowering in reversed(_LOWERINGS.values()):
        if kind in lowering.forms:
            return lowering.forms[kind]
    raise InputError(f"operation {kind.__name__!r} has no export form: add one to the forms of its space's Lowering")
