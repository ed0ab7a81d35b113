"""How operations are written in an exported `network.py`, which needs no rwejax.

A lowering's `forms` name for each of its operations either a plain Flax class with fields of the same names, whose
source is copied, or a function that writes an expression.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from rwejax.errors import InputError
from rwejax.networks import modules, plain_operations


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes one operation as an expression, in which `jax`, `jnp` and `nn` can be used.

    Attributes:
        name: of the operation among the network's parameters.
        maps: what the maps that it reads are called.
        called: the plain classes that the expression has called so far.
    """

    name: str
    maps: tuple[str, ...]
    called: list[type[nn.Module]] = dataclasses.field(default_factory=list)

    def call(self, plain: type[nn.Module], module: nn.Module, **given: Any) -> str:
        """A call of a plain class on the maps, with the arguments that are not its defaults.

        Args:
            plain: called with the maps and, where it takes that, `train`.
            module: the operation, whose fields are the arguments.
            given: arguments that are no fields of the operation.
        """
        self.called.append(plain)
        known = {**vars(module), **given}
        arguments = [
            f"{known[field.name]!r}" if field.name == "channels" else f"{field.name}={known[field.name]!r}"
            for field in dataclasses.fields(plain)
            if field.name not in ("parent", "name") and known[field.name] != field.default
        ]
        arguments.append(f'name="{self.name}"')
        takes_train = "train" in inspect.signature(plain.__call__).parameters
        inputs = [*self.maps, "train=train"] if takes_train else self.maps
        return f"{plain.__name__}({', '.join(arguments)})({', '.join(inputs)})"

    def pooled(self, maps: str, pool: int) -> str:
        """The global average pool of an expression.

        Args:
            maps: the expression, of (images, height, width, channels).
            pool: windows along each side, of which an export writes 1 only.

        Raises:
            InputError: `pool` is not 1: networks of other pools are no classifiers.
        """
        if pool != 1:
            raise InputError(f"{self.name} pools to {pool} x {pool} features a channel: export a pool of 1")
        return f"{maps}.mean((1, 2))"


Form = type[nn.Module] | Callable[[Any, Writer], str]
"""A plain class, or a function of an operation and a writer to an expression."""


def _sum(module: modules.Sum, writer: Writer) -> str:
    return " + ".join(writer.maps)


SHARED: Mapping[type[nn.Module], Form] = {
    modules.Stem: plain_operations.Stem,
    modules.Quarter: plain_operations.Quarter,
    modules.Halve: plain_operations.Halve,
    modules.Sum: _sum,
}
"""The forms of the operations that spaces share."""


def average_pool(x: str, stride: int) -> str:
    """A padded 3x3 average pool that leaves the padding out of the mean.

    Args:
        x: the expression that is pooled.
        stride: in pixels.
    """
    return f"nn.avg_pool({x}, (3, 3), ({stride}, {stride}), ((1, 1), (1, 1)), count_include_pad=False)"
