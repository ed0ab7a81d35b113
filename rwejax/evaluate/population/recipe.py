"""How a network is trained, whichever it is: the optimiser, the order of the images, how they are changed."""

import dataclasses
import math
from typing import Annotated, Any, Protocol

import jax
import numpy as np
import optax
from jaxtyping import Array, Int

from rwejax.bounds import Amount, Bounds, Margin, Seed, Share, check_bounds
from rwejax.data import Dataset


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The fields of `rwejax.TrainConfig` of the same names, which every network of a population has alike.

    Attributes:
        epochs: passes over the train images.
        batch_size: images of a step; all train images if there are fewer.
        learning_rate: at the start of a cosine that ends at 0.
        momentum: of stochastic gradient descent.
        weight_decay: share of each weight that is added to its gradient.
        grad_clip: largest norm of a gradient; 0: any.
        label_smoothing: share of the target that is spread over all classes.
        crop_padding: pixels by which an image is shifted at most, along both axes; None: an eighth of its size.
        flip: whether half of the images are mirrored; None: unless all train images are grey.
        cutout: height and width of the square that is blanked in each image, in pixels; 0: none.
        seed: draws the weights, the order of the images and how they are changed.
    """

    epochs: Annotated[int, Bounds(1, 10**6)] = 30
    batch_size: Annotated[int, Bounds(1, 10**6)] = 64
    learning_rate: Amount = 0.05
    momentum: Share = 0.9
    weight_decay: Amount = 3e-4
    grad_clip: Amount = 5.0
    label_smoothing: Share = 0.0
    crop_padding: Margin | None = None
    flip: bool | None = None
    cutout: Margin = 0
    seed: Seed = 0

    def settled(self, dataset: Dataset) -> "Recipe":
        """The recipe with all that the images choose.

        Args:
            dataset: the images.

        Raises:
            InputError: a field is out of its range.
        """
        check_bounds(self)
        return dataclasses.replace(
            self,
            batch_size=min(self.batch_size, len(dataset.train_labels)),
            crop_padding=dataset.image_shape[0] // 8 if self.crop_padding is None else self.crop_padding,
            flip=not dataset.grey if self.flip is None else self.flip,
        )


class Descent(Protocol):
    """What names the constants of the optimiser: a `Recipe`, or the config of a training."""

    @property
    def learning_rate(self) -> float:
        """At the start of a cosine that ends at 0."""

    @property
    def momentum(self) -> float:
        """Of stochastic gradient descent."""

    @property
    def weight_decay(self) -> float:
        """Share of each weight that is added to its gradient."""

    @property
    def grad_clip(self) -> float:
        """Largest norm of a gradient; 0: any."""


def optimiser(descent: Descent, steps: int | Int[Array, ""]) -> optax.GradientTransformation:
    """Clipped gradients, weight decay, momentum, and a cosine over all steps.

    Args:
        descent: names learning rate, momentum, weight decay, and the largest norm of a gradient.
        steps: of the whole training, during which the learning rate falls to 0.
    """
    schedule = optax.cosine_decay_schedule(descent.learning_rate, 1)
    return optax.chain(
        optax.clip_by_global_norm(descent.grad_clip) if descent.grad_clip else optax.identity(),
        optax.add_decayed_weights(descent.weight_decay),
        optax.sgd(lambda count: schedule(count / steps), descent.momentum),
    )


def key_of_steps(seed: int) -> jax.Array:
    """The key that, folded with the number of a step, draws how its images are changed.

    Args:
        seed: of the training.
    """
    # Threefry, JAX's default, takes as long to compile as a small network.
    return jax.random.split(jax.random.key(seed, impl="rbg"))[1]


def epoch_order(seed: int, epoch: int, images: int, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """The train images of each step of an epoch, by number; the first ones again where the last batch is not full.

    So every batch is of full size, for its statistics are those of the normalisation, and nothing is compiled anew.

    Args:
        seed: draws the order, together with the number of the epoch.
        epoch: from 0.
        images: number of train images.
        batch_size: images of a step.
    """
    order: Any = np.random.default_rng([seed, epoch]).permutation(images)
    steps = math.ceil(images / batch_size)
    return np.resize(order, steps * batch_size).reshape(steps, batch_size).astype(np.int32)
