"""Changes of the images of a batch at random, inside compiled code: mirrored, shifted, partly blanked."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Images = Float[Array, "images height width channels"]


def augment(key: jax.Array, images: Images, crop_padding: int = 0, flip: bool = False, cutout: int = 0) -> Images:
    """Change each image of a batch on its own.

    Args:
        key: draws the changes.
        images: standardised, so that 0 is the mean of a channel.
        crop_padding: pixels of zeros around an image, out of which one of its size is cut (He et al., "Deep residual
            learning", CVPR 2016, section 4.2).
        flip: whether half of the images are mirrored.
        cutout: height and width of a square of zeros in each image; its centre is any pixel, so that parts of it may
            lie outside (DeVries, Taylor, "Improved regularization of convolutional neural networks with cutout", 2017).
    """
    key_flip, key_crop, key_cutout = jax.random.split(key, 3)
    count, height, width = images.shape[:3]
    rows, columns = jnp.arange(height)[None], jnp.arange(width)[None]
    if crop_padding:
        corners = jax.random.randint(key_crop, (count, 2), 0, 2 * crop_padding + 1, jnp.int32) - crop_padding
        rows, columns = rows + corners[:, :1], columns + corners[:, 1:]
    if flip:
        mirrored = jax.random.bernoulli(key_flip, np.float32(0.5), (count, 1))
        columns = jnp.where(mirrored, width - 1 - columns, columns)
    if crop_padding or flip:
        images = _read(images, rows, columns)
    if cutout:
        centres = jax.random.randint(key_cutout, (count, 2), 0, np.array([height, width], np.int32), jnp.int32)
        offsets = [jnp.arange(length) - centres[:, axis, None] for axis, length in enumerate((height, width))]
        # A square of even size reaches one pixel further up and left than down and right.
        rows, columns = ((offset >= -(cutout // 2)) & (offset < cutout - cutout // 2) for offset in offsets)
        images = jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], 0, images)
    return images


def _read(images: Images, rows: Int[Array, "_ height"], columns: Int[Array, "_ width"]) -> Images:
    """The pixels of each image in these rows and columns, zero outside of it: one gather, which is quick on a CPU."""
    count, height, width, channels = images.shape
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    pixels = jnp.where(inside, rows[:, :, None] * width + columns[:, None], 0).reshape(len(inside), -1, 1)
    read = jnp.take_along_axis(images.reshape(count, -1, channels), pixels, 1, mode="promise_in_bounds")
    return jnp.where(inside[..., None], read.reshape(images.shape), 0)
