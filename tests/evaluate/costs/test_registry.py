"""What every registered cost promises, in every space."""

import jax
import numpy as np
import pytest

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evaluate import costs
from rwejax.evaluate.costs import timing
from tests.registered import SLOW

SIZES = {"macro": {"nodes": 3}, "micro": {"layers": 3}, "darts": {"layers": 3}, "nasbench201": {"cells": 1}}


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    """All takes as long as it has parameters and inputs, so that nothing here depends on a clock, nor compiles."""

    def seconds(variables, data):
        return 1e-6 * sum(leaf.size for leaf in jax.tree.leaves((variables, data)))

    class Fake:
        """As a stopwatch."""

        def __init__(self, function, variables, data, device):
            self.seconds = seconds(variables, data)

        def run(self):
            pass

    monkeypatch.setattr(timing, "Stopwatch", Fake)
    monkeypatch.setattr(
        timing, "call_seconds", lambda functions, device: [seconds(*shapes) for _, *shapes in functions]
    )


def small(name):
    return spaces.get(name, channels=4, input_shape=(16, 16, 3), **SIZES.get(name, {}))


@pytest.mark.parametrize(
    ("name", "space_name"),
    [
        pytest.param(name, space, marks=pytest.mark.slow if name == "latency" and space in SLOW else ())
        for name in costs.names()
        for space in spaces.names()
    ],
)
def test_costs_of_populations(name, space_name):
    space = small(space_name)
    sampled = np.asarray(space.sample(jax.random.key(4), 10))
    genomes = np.asarray(space.canonical(np.concatenate([sampled, [space.lower, space.upper], sampled[:2]])))
    genomes.flags.writeable = False
    cost = costs.get(name, space)
    found = cost(genomes)
    assert isinstance(found, np.ndarray)
    assert found.dtype == float
    assert found.shape == (len(genomes),)
    assert (found > 0).all()
    assert np.isfinite(found).all()
    assert len(np.unique(found)) > 1
    assert (found[-2:] == found[:2]).all()
    assert (cost(genomes) == found).all()
    again = costs.get(name, space)
    for size in (1, 5):
        pieces = [again(genomes[start : start + size]) for start in range(0, len(genomes), size)]
        assert (np.concatenate(pieces) == found).all()
    assert (cost(genomes[::-1]) == found[::-1]).all()
    nothing = cost(genomes[:0])
    assert nothing.shape == (0,)
    assert nothing.dtype == float


def test_sizes_are_the_spaces_own():
    space = small("macro")
    genomes = np.asarray(space.canonical(space.sample(jax.random.key(4), 5)))
    assert (costs.get("macs", space)(genomes) == space.macs(genomes)).all()
    assert (costs.get("params", space)(genomes) == space.params(genomes)).all()


def test_what_is_unknown_is_one_sentence():
    known = ", ".join(costs.names())
    with pytest.raises(InputError, match=f"^cost 'energy' is unknown: choose one of {known}$"):
        costs.get("energy", small("macro"))
    with pytest.raises(InputError, match=r"^cost 'macs' has no option 'batch': it takes none$"):
        costs.get("macs", small("macro"), batch=2)
    with pytest.raises(InputError, match=r"^cost 'latency' has no option 'batches': it takes batch, table, slowdown$"):
        costs.get("latency", small("macro"), batches=2)
