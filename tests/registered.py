"""Every registered space, and one of a user's: what a test needs to know of a space, it learns from the space."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from rwejax import InputError, networks, spaces
from tests import pages

pages.ladder()

# Their networks take longest to trace and compile. Where a test does that, macro and nasbench201 stand for them: the
# quickest of either kind, a graph in phases and a cell.
SLOW = {"micro", "darts", "nasbench_macro"}


def slow(names, those):
    """The names as parameters of a test, which those make slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in those else name for name in names]


def compiled(names):
    """Names of spaces as parameters of a test that compiles networks of each."""
    return slow(names, SLOW)


every_space = pytest.mark.parametrize("name", spaces.names())
every_compiled_space = pytest.mark.parametrize("name", compiled(spaces.names()))

# These are compared with networks that tests write down plainly, which is slower and says more.
WRITTEN_DOWN = {"macro", "micro", "darts", "nasbench201", "nasbench_macro"}
every_other_space = pytest.mark.parametrize("name", [name for name in spaces.names() if name not in WRITTEN_DOWN])


def attempt(call, *arguments, **options):
    """The result, or in its place the `ValueError`."""
    try:
        return call(*arguments, **options)
    except ValueError as error:
        return error


def numbers(name):
    """The options that are whole numbers, sizes and classes, with their defaults."""
    return {field.name: field.default for field in dataclasses.fields(spaces.get(name)) if type(field.default) is int}


@functools.cache
def smallest(name):
    """The least value of each of these options that the space accepts."""

    def accepts(**options):
        return not isinstance(attempt(spaces.get, name, **options), InputError)

    return {
        option: next(value for value in range(1, default + 1) if accepts(**{option: value}))
        for option, default in numbers(name).items()
    }


def small(name, input_shape):
    """A small space of few layers, wide enough to compute with."""
    sizes = {**smallest(name), "classes": 10}
    return spaces.get(name, **sizes | ({"channels": 4} if "channels" in sizes else {}), input_shape=input_shape)


def alive(space, n, seed=5):
    """The networks of so many random genomes, canonical, without those that no image passes."""
    genomes = space.canonical(np.asarray(space.sample(jax.random.key(seed), n)))
    built = [(genome, attempt(networks.build, space, genome)) for genome in genomes]
    return [(genome, module) for genome, module in built if not isinstance(module, InputError)]
