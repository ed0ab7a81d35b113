"""Every registered space can be exported, a user's among them, to source that computes the same."""

import dataclasses

import jax
import numpy as np
import pytest

from rwejax import InputError, networks, spaces
from rwejax.exporting.package import write_source
from rwejax.networks import registry
from tests.registered import alive, every_other_space, every_space, small

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)


def operations(module):
    """Group, kind and type of each operation."""
    kinds = [module.network.groups[row.group].kinds[row.kind] for row in module.rows]
    return {(row.group, name, type(kind.module)) for row, (name, kind) in zip(module.rows, kinds, strict=True)}


def few_with_all(space):
    """Networks that together have every operation that many random ones have, and one of each type at least."""
    chosen, seen = [], set()
    for genome, module in alive(space, 40):
        if not operations(module) <= seen:
            chosen.append((genome, module))
            seen |= operations(module)
    types = {type(kind.module) for group in networks.network(space).groups for _, kind in group.kinds}
    assert types == {each[-1] for each in seen}
    return chosen


def draw(shapes):
    generator = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: generator.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes)
    params = jax.tree.map(lambda leaf: leaf - 1, variables["params"])
    return {"params": params, "batch_stats": variables["batch_stats"]}


@every_other_space
def test_the_exported_source_computes_what_the_network_computes(name):
    space = small(name, SHAPE)
    for _, module in few_with_all(space)[:2]:
        source = write_source(module, SHAPE)
        scope = {}
        exec(source, scope)
        exported = scope["Network"]()
        assert "import rwejax" not in source
        assert "from rwejax" not in source

        variables = draw(jax.eval_shape(module.init, jax.random.key(0), IMAGES))
        both = jax.jit(lambda v, ours=module, theirs=exported: (ours.apply(v, IMAGES), theirs.apply(v, IMAGES)))
        expected, found = both(variables)
        assert np.std(expected) > 1e-3
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@every_space
def test_every_operation_of_every_group_is_written(name):
    space = small(name, SHAPE)
    for _, module in few_with_all(space):
        compile(write_source(module, SHAPE), name, "exec")


def test_an_operation_without_a_form_is_named(monkeypatch):
    space = spaces.get("ladder", channels=2, input_shape=SHAPE)
    module = networks.build(space, space.lower)
    lowering = registry.lowering_of(space)
    without = {kind: form for kind, form in lowering.forms.items() if kind.__name__ != "Block"}
    monkeypatch.setitem(registry._LOWERINGS, type(space), dataclasses.replace(lowering, forms=without))
    with pytest.raises(InputError, match="operation 'Block' has no export form: add one to the forms of its space"):
        write_source(module, SHAPE)
