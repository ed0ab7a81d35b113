"""Sizes of spaces: what is no size is refused where the space is made, whoever makes it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import networks, spaces
from rwejax.errors import InputError
from rwejax.spaces.sizes import LARGEST_CHANNELS

# A user's space is checked where it is got by its name, ours where they are made too.
BUILT_IN = [name for name in spaces.names() if type(spaces.get(name)).__module__.startswith("rwejax.")]

DEEPENED = {"macro": "nodes", "micro": "layers", "darts": "layers", "nasbench201": "cells"}


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("channels", 2**31, f"channels is 2147483648: give 1 to {LARGEST_CHANNELS}"),
        ("channels", 10**400, "channels is an integer of 1329 bits: give 1 to"),
        ("channels", 0, "channels is 0: give 1 to"),
        ("channels", -4, "channels is -4: give 1 to"),
        ("channels", True, "channels is True: give an integer"),
        ("channels", np.bool_(True), "channels is np.True_: give an integer"),
        ("channels", 8.0, "channels is 8.0: give an integer"),
        ("channels", np.float32(8), r"channels is np.float32\(8.0\): give an integer"),
        ("channels", "8", "channels is '8': give an integer"),
        ("channels", None, "channels is None: give an integer"),
        ("channels", [8], "channels is a list of 1: give an integer"),
        ("channels", np.array([8]), "give an integer"),
        ("classes", 1, "classes is 1: give 2 to"),
        ("classes", 2**40, "classes is 1099511627776: give 2 to"),
        ("classes", float("nan"), "classes is nan: give an integer"),
        ("input_shape", (32, 32), r"input_shape is .*: give height, width and channels"),
        ("input_shape", 32, "input_shape is 32: give height"),
        ("input_shape", "abc", "input_shape is 'abc': give height"),
        ("input_shape", None, "input_shape is None: give height"),
        ("input_shape", (32, -32, 3), "width of input_shape is -32: give 1 to"),
        ("input_shape", (32, 32, 0), "channels of input_shape is 0: give 1 to"),
        ("input_shape", (2**20, 32, 3), "height of input_shape is 1048576: give 1 to"),
        ("input_shape", (32.0, 32, 3), "height of input_shape is 32.0: give an integer"),
    ],
)
def test_what_is_no_size_is_refused(name, option, value, message):
    with pytest.raises(InputError, match=message):
        spaces.get(name, **{option: value})
    if isinstance(value, int) and option != "input_shape":  # of others the type checker of the tests speaks first
        with pytest.raises(InputError, match=message):
            spaces.get_class(name)(**{option: value})


@pytest.mark.parametrize(("name", "option"), DEEPENED.items())
@pytest.mark.parametrize("value", [0, -1, 257, 2**63, True, 3.0, "3", np.float64(3), [3]])
def test_what_is_no_depth_is_refused(name, option, value):
    with pytest.raises(InputError, match=rf"^{option} is "):
        spaces.get(name, channels=8, **{option: value})


@pytest.mark.parametrize("name", spaces.names())
def test_integers_of_any_kind_are_the_same_space(name):
    plain = spaces.get(name, channels=8, classes=5, input_shape=(16, 16, 1))
    for kind in (np.int8, np.uint64, jnp.int32, np.array):
        other = spaces.get(name, channels=kind(8), classes=kind(5), input_shape=[kind(16), kind(16), kind(1)])
        assert other == plain
        assert hash(other) == hash(plain)
        assert {type(each) for each in (other.channels, other.classes, *other.input_shape)} == {int}


@pytest.mark.parametrize("name", spaces.names())
def test_counts_of_the_largest_networks_are_exact(name):
    """Python's integers have no end; those of 64 bits must not have passed theirs."""
    axis = {"input_shape": (1024, 1024, 1024), "classes": 2**17}
    deep = {DEEPENED[name]: 6 if name == "macro" else 256} if name in DEEPENED else {}
    largest = spaces.get(name, channels=LARGEST_CHANNELS, **deep, **axis)
    half = spaces.get(name, channels=LARGEST_CHANNELS // 2, **deep, **axis)
    genomes = np.stack([largest.lower, largest.upper])
    for cost in ("macs", "params"):
        wide, narrow = getattr(largest, cost)(genomes), getattr(half, cost)(genomes)
        assert (wide > 0).all()
        # Twice the channels are twice to four times the cost, which a number that has wrapped around is not.
        assert (2 * narrow >= wide // 2).all()
        assert (wide >= 2 * narrow - 2**40).all()
        assert (wide <= 4 * narrow).all()


@pytest.mark.parametrize("name", spaces.names())
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12])
def test_no_image_is_pooled_away(name, size):
    """Either the space says that the images are too small, or every map of its networks has a pixel."""
    try:
        space = spaces.get(name, channels=4, input_shape=(size, size + 4, 1))
    except InputError:
        with pytest.raises(InputError, match=rf"images are {size} x {size + 4} pixels: .*give"):
            spaces.get(name, channels=4, input_shape=(size, size + 4, 1))
        return
    assert min(length for shape in networks.network(space).buffers.values() for length in shape) >= 1


CELLS = {
    "micro": np.zeros(40, np.int32),
    "darts": np.array([3, 3, 0] * 8, np.int32),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("shape", "fits"), [((4, 4, 1), False), ((4, 16, 3), False), ((8, 8, 1), True)])
def test_an_auxiliary_head_needs_pixels(name, shape, fits):
    space = spaces.get(name, channels=2, layers=3, input_shape=shape)
    if not fits:
        with pytest.raises(
            InputError, match=rf"images are {shape[0]} x {shape[1]} pixels, of which the last cell has 1"
        ):
            networks.build(space, CELLS[name], auxiliary=True)
        return
    module = networks.build(space, CELLS[name], auxiliary=True)
    images = jax.ShapeDtypeStruct((2, *shape), np.float32)
    made = jax.eval_shape(lambda images: module.init_with_output(jax.random.key(0), images, train=True)[0], images)
    assert [each.shape for each in made] == [(2, 10), (2, 10)]
