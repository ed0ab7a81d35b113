"""A network as Python source that needs no rwejax: a line an operation, after the definitions that the lines use."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from rwejax.errors import InputError
from rwejax.networks import Form, PlainNetwork, Writer, forms_of
from rwejax.source.definitions import gather
from rwejax.source.reading import load
from rwejax.version import __version__


def write_source(network: PlainNetwork, image_shape: tuple[int, int, int]) -> str:
    """The source of a module of one network.

    Args:
        network: the network.
        image_shape: height, width and channels of an image.

    Returns:
        Python source with a Flax module `Network`, called as `Network()(images, train)`, whose parameters have the
        names and shapes of `network`'s, and a function `load(path)`, which reads them from a safetensors file.

    Raises:
        InputError: the network has no last linear layer, or pools its last map to more than one pixel, or an operation
            has no export form, or one whose source cannot be copied.
    """
    if not network.classes:
        raise InputError("the network has no last linear layer: build it with classes to export it")
    called: list[type[nn.Module]] = []
    lines = "\n        ".join(_lines(network, called))
    result = f"(images, {network.classes}) logits"
    module = f'''class Network(nn.Module):
    """From (images, {", ".join(map(str, image_shape))}) standardised images to {result}."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Compute logits; training moves the running statistics, the collection `batch_stats`."""
        {lines}'''
    imports, definitions = gather(module, [*called, load])
    head = f'''"""A trained network, written by rwejax {__version__}, which it does not need.

`Network().apply(load("weights.safetensors"), images)` gives {result}.
"""

{imports}'''
    return "\n\n\n".join([head, *definitions, module]) + "\n"


def make_plain(network: PlainNetwork, image_shape: tuple[int, int, int]) -> nn.Module:
    """The module that the source of a network defines, called as `module(images, train)`.

    Args:
        network: the network.
        image_shape: height, width and channels of an image.

    Raises:
        InputError: see `write_source`.
    """
    scope: dict[str, Any] = {}
    exec(write_source(network, image_shape), scope)
    return scope["Network"]()


def write_operation(
    module: nn.Module, forms: Mapping[type[nn.Module], Form], maps: tuple[str, ...], name: str = "operation"
) -> tuple[str, tuple[type[nn.Module], ...]]:
    """An operation as an expression of `jax`, `jnp`, `nn` and `train`, and the plain classes that it calls.

    Args:
        module: the operation.
        forms: `rwejax.networks.forms_of` its network.
        maps: what the maps that it reads are called.
        name: of the operation among the network's parameters.
    """
    writer = Writer(name, maps)
    form = forms[type(module)]
    expression = writer.call(form, module) if isinstance(form, type) else form(module, writer)
    return expression, tuple(writer.called)


def write_head(classes: int, features: str) -> str:
    """The last linear layer as an expression.

    Args:
        classes: how many there are.
        features: what it reads.
    """
    return f'nn.Dense({classes}, name="head")({features})'


def _lines(network: PlainNetwork, called: list[type[nn.Module]]) -> list[str]:
    """A line a row; where a group begins, a comment says what its maps are. The plain classes are put into a list."""
    names = {("images", 0): "images"}
    lines = []
    read = {(network.network.groups[row.group].source, slot) for row in network.rows for slot in row.sources}
    before, forms = None, forms_of(network.network)
    for i, row in enumerate(network.rows, start=1):
        group = network.network.groups[row.group]
        if group is not before:
            lines.append(f"# {group.name}: {' x '.join(map(str, network.network.buffers[group.target]))}")
            before = group
        read_maps = tuple(names[group.source, slot] for slot in row.sources)
        here = group.target, row.buffer_slot
        names[here] = f"x{i}"
        remark = "" if here in read or here == ("features", 0) else "  # unread"
        expression, classes = write_operation(group.kinds[row.kind][1].module, forms, read_maps, row.name)
        called += classes
        lines.append(f"x{i} = {expression}{remark}")
    return [*lines, f"return {write_head(network.classes, names['features', 0])}"]
