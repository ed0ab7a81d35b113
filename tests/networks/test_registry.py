"""What register_space asks of a space, and what it says where something is missing."""

import dataclasses

import pytest

import rwejax
from rwejax import InputError, networks, spaces
from rwejax.networks import registry
from tests import pages

pages.ladder()
LADDER = spaces.get_class("ladder")
LOWERING = networks.lowering_of(spaces.get("ladder"))


_MADE = ("__dict__", "__weakref__", "__setattr__", "__delattr__")  # by dataclass


def without(*names):
    """The class of the page's space without some of its parts."""
    parts = {name: value for name, value in vars(LADDER).items() if name not in (*names, *_MADE)}
    return dataclasses.dataclass(frozen=True)(type("Bare", (), parts | {"name": "bare"}))


def changed(**parts):
    return dataclasses.dataclass(frozen=True)(type("Other", (LADDER,), {"name": "other", **parts}))


@pytest.mark.parametrize(
    ("space", "lowering", "words"),
    [
        (3, LOWERING, "space 3 is no dataclass"),
        (type("Plain", (), {}), LOWERING, "space 'Plain' is no dataclass"),
        (dataclasses.make_dataclass("Soft", []), LOWERING, "space 'Soft' can be changed"),
        (without("macs", "canonical", "proxy_sizes"), LOWERING, "space 'Bare' lacks proxy_sizes, canonical, macs:"),
        (changed(proxy_sizes={"width": 3}), LOWERING, "'width' in its proxy_sizes"),
        (changed(proxy_sizes={"nodes": 3}), LOWERING, "'nodes' in its proxy_sizes"),
        (changed(name="a b"), LOWERING, "name 'a b': give letters"),
        (changed(name="macro"), LOWERING, "the name 'macro' of another space"),
        (changed(), None, "the lowering of space 'other' is None: give a rwejax.networks.Lowering"),
        (changed(), dataclasses.replace(LOWERING, forms={}), "no export form for Stem, Block, Halve, Pool: add"),
    ],
)
def test_what_is_missing_is_one_sentence_and_nothing_is_registered(space, lowering, words):
    before = dict(registry._LOWERINGS), spaces.names()
    with pytest.raises(InputError) as caught:
        rwejax.register_space(space, lowering)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert (dict(registry._LOWERINGS), spaces.names()) == before


def test_the_same_space_may_be_registered_again():
    before = spaces.names()
    rwejax.register_space(LADDER, LOWERING)
    assert spaces.names() == before
    assert spaces.get_class("ladder") is LADDER


def test_a_space_without_a_lowering_is_named():
    space = changed()()
    with pytest.raises(InputError, match=r"space 'other' has no lowering: give it one with rwejax.register_space"):
        networks.network(space)
