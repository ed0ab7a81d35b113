import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax.evaluate.population.augment import augment

IMAGES = np.random.default_rng(0).normal(size=(40, 6, 6, 2)).astype(np.float32)


def changed(key, **changes):
    return np.asarray(augment(jax.random.key(key), jnp.asarray(IMAGES), **changes))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("crop", [0, 2])
def test_an_image_is_shifted_and_mirrored_and_nothing_else(crop, flip):
    found = changed(0, crop_padding=crop, flip=flip)
    padded = np.pad(IMAGES, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
    seen = set()
    for image, whole in zip(found, padded, strict=True):
        candidates = {
            (down, right, step): whole[down : down + 6, right : right + 6][:, ::step]
            for down in range(2 * crop + 1)
            for right in range(2 * crop + 1)
            for step in ((1, -1) if flip else (1,))
        }
        # Mirroring comes first, so that a mirrored image is shifted the other way.
        equal = {name for name, candidate in candidates.items() if np.array_equal(candidate, image)}
        assert equal
        seen |= equal
    assert len(seen) >= min(2, len(candidates))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**20))
def test_cutout_blanks_one_square_whose_centre_lies_inside(size, key):
    for image, original in zip(changed(key, cutout=size), IMAGES, strict=True):
        blank = (image == 0).all(-1)
        assert np.array_equal(image[~blank], original[~blank])
        rows, columns = np.flatnonzero(blank.any(1)), np.flatnonzero(blank.any(0))
        assert np.array_equal(blank, blank.any(1)[:, None] & blank.any(0))
        assert np.array_equal(rows, np.arange(rows.min(), rows.max() + 1))
        for pixels in (rows, columns):
            inside = min(pixels) > 0 and max(pixels) < 5
            assert len(pixels) == size if inside else (size + 1) // 2 <= len(pixels) <= size


def test_nothing_changes_unasked():
    assert np.array_equal(changed(0), IMAGES)
