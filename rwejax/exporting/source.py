"""A network as Python source that needs no rwejax: a line an operation, after the definitions that the lines use."""

import ast
import dataclasses
import inspect
from collections.abc import Mapping

import flax.linen as nn

from rwejax.errors import InputError
from rwejax.exporting import operations
from rwejax.networks import PlainNetwork, cells, macro, modules, nasbench201, nasbench_macro
from rwejax.spaces.nasbench_macro import HEAD_CHANNELS
from rwejax.version import __version__

PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    modules.Stem: operations.Stem,
    modules.Quarter: operations.Quarter,
    modules.Halve: operations.Halve,
    macro.Entry: operations.Entry,
    macro.Node: operations.Node,
    macro.Output: operations.Output,
    cells.Project: operations.Project,
    cells.Separable: operations.Separable,
    cells.Factorised: operations.Factorised,
    nasbench201.Convolution: operations.Edge,
    nasbench201.Residual: operations.Residual,
    nasbench201.Output: operations.Output,
    nasbench_macro.RectifiedStem: operations.RectifiedStem,
    nasbench_macro.Shrink: operations.Shrink,
    nasbench_macro.Bottleneck: operations.Bottleneck,
    nasbench_macro.Output: operations.Widen,
}
"""The operations that own parameters, and how they are written. The fields of both have the same names."""


def write_source(network: PlainNetwork, image_shape: tuple[int, int, int]) -> str:
    """The source of a module of one network.

    Args:
        network: the network.
        image_shape: height, width and channels of an image.

    Returns:
        Python source with a Flax module `Network`, called as `Network()(images, train)`, whose parameters have the
        names and shapes of `network`'s, and a function `load(path)`, which reads them from a safetensors file.

    Raises:
        InputError: the network has no last linear layer, or pools its last map to more than one pixel.
    """
    if not network.classes:
        raise InputError("the network has no last linear layer: build it with classes to export it")
    lines = "\n        ".join(_lines(network))
    result = f"(images, {network.classes}) logits"
    module = f'''class Network(nn.Module):
    """From (images, {", ".join(map(str, image_shape))}) standardised images to {result}."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Compute logits; training moves the running statistics, the collection `batch_stats`."""
        {lines}'''
    imports, definitions = _used(f"{module}\n\nload")
    head = f'''"""A trained network, written by rwejax {__version__}, which it does not need.

`Network().apply(load("weights.safetensors"), images)` gives {result}.
"""

{imports}'''
    return "\n\n\n".join([head, *definitions, module]) + "\n"


def _lines(network: PlainNetwork) -> list[str]:
    """A line a row; where a group begins, a comment says what its maps are."""
    names = {("images", 0): "images"}
    lines = []
    read = {(network.network.groups[row.group].source, slot) for row in network.rows for slot in row.sources}
    before = None
    for i, row in enumerate(network.rows, start=1):
        group = network.network.groups[row.group]
        if group is not before:
            lines.append(f"# {group.name}: {' x '.join(map(str, network.network.buffers[group.target]))}")
            before = group
        maps = [names[group.source, slot] for slot in row.sources]
        here = group.target, row.buffer_slot
        names[here] = f"x{i}"
        remark = "" if here in read or here == ("features", 0) else "  # unread"
        lines.append(f"x{i} = {_expression(group.kinds[row.kind][1].module, row.name, maps)}{remark}")
    return [*lines, f'return nn.Dense({network.classes}, name="head")({names["features", 0]})']


def _expression(module: nn.Module, name: str, maps: list[str]) -> str:
    """A row as it is written."""
    match module:
        case modules.Sum():
            return " + ".join(maps)
        case cells.Pool(largest=True, stride=stride):
            return f"nn.max_pool({maps[0]}, (3, 3), ({stride}, {stride}), ((1, 1), (1, 1)))"
        case cells.Pool(stride=stride):
            return _average(maps[0], stride)
        case nasbench201.Average():
            return _average(maps[0], 1)
        case macro.Output(pool=None):
            return f"nn.max_pool({_call(module, name, maps)}, (2, 2), (2, 2))"
        case cells.Output(pool=1):
            return f"jnp.concatenate([{', '.join(maps)}], -1).mean((1, 2))"
        case macro.Output(pool=1) | nasbench201.Output(pool=1) | nasbench_macro.Output(pool=1):
            return f"{_call(module, name, maps)}.mean((1, 2))"
        case macro.Output() | cells.Output() | nasbench201.Output() | nasbench_macro.Output():
            raise InputError(f"{name} pools to {module.pool} x {module.pool} features a channel: export a pool of 1")
    return _call(module, name, maps)


def _average(x: str, stride: int) -> str:
    return f"nn.avg_pool({x}, (3, 3), ({stride}, {stride}), ((1, 1), (1, 1)), count_include_pad=False)"


def _call(module: nn.Module, name: str, maps: list[str]) -> str:
    """A call of what stands for the module in `operations`, with the arguments that are not its defaults."""
    plain = PLAIN[type(module)]
    given = {"channels": HEAD_CHANNELS} if plain is operations.Widen else vars(module)
    arguments = [
        f"{given[field.name]}" if field.name == "channels" else f"{field.name}={given[field.name]}"
        for field in dataclasses.fields(plain)
        if field.name not in ("parent", "name") and given[field.name] != field.default
    ]
    arguments.append(f'name="{name}"')
    inputs = [*maps, "train=train"] if "train" in inspect.signature(plain.__call__).parameters else maps
    return f"{plain.__name__}({', '.join(arguments)})({', '.join(inputs)})"


def _used(code: str) -> tuple[str, list[str]]:
    """The imports and the definitions of `operations` that code needs, in their order there."""
    text = inspect.getsource(operations)
    imports, definitions = {}, {}
    for node in ast.parse(text).body:
        match node:
            case ast.Import(names=[name]) | ast.ImportFrom(names=[name]):
                imports[name.asname or name.name] = node
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                definitions[name] = node
    needed = _names(ast.parse(code))
    for name, node in reversed(definitions.items()):  # which use those above them alone
        if name in needed:
            needed |= _names(node)

    def written(nodes: Mapping[str, ast.stmt]) -> list[str]:
        return [ast.get_source_segment(text, node) or "" for name, node in nodes.items() if name in needed]

    return "\n".join(written(imports)), written(definitions)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
