"""Heads: what a pass has seen of one network, made into scores.

A pass keeps the same of every network, as `Seen`; a `ForwardScore` says which of it a score needs, and has the head,
the function that makes the numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rwejax.networks.codes import ReLU, disagreements, relus
from rwejax.networks.program import Codes, Network


@dataclass(frozen=True)
class Seen:
    """What a pass has seen of one network.

    Attributes:
        features: by pool the features of the images, the train images first; the last map has `pool` x `pool` pixels.
        disagreements: for each size of ReLU in how many of the sampled units of all its ReLUs two of the calibration
            images differ.
        counts: for each size how many ReLUs the network has.
        labels: class of each image.
        calibration: number of calibration images, the first ones.
        train: number of train images among the images seen.
        classes: number of classes.
        key: for what a head draws itself.
    """

    features: Mapping[int, Float[Array, "images d"]]
    disagreements: Mapping[ReLU, Int[Array, "calibration calibration"]]
    counts: Mapping[ReLU, Int[Array, ""]]
    labels: Int[Array, " images"]
    calibration: int
    train: int
    classes: int
    key: jax.Array

    def batch(self, pool: int = 1) -> Float[Array, "calibration d"]:
        """The features of the calibration images."""
        return self.features[pool][: self.calibration]

    @property
    def targets(self) -> Float[Array, "calibration classes"]:
        """One-hot labels of the calibration images less their mean."""
        targets = jax.nn.one_hot(self.labels[: self.calibration], self.classes, dtype=jnp.float32)
        return targets - targets.mean(0)


@dataclass(frozen=True, eq=False)
class ForwardScore:
    """A score that needs one pass forwards: which observers, and a head. Each is equal to itself alone.

    Attributes:
        head: what was seen of a network to numbers, by name.
        worst: what stands for a number of a network that failed: whose features are NaN or infinite, or of which there
            are none since no path leads through it. Its keys are the names of all numbers.
        pools: of the features that it reads.
        codes: whether it asks which ReLUs are on.
        all_images: whether it looks at all images, or at the calibration images alone.
        total: the name of the sum of all numbers, if that is one more.
    """

    head: Callable[[Seen], Mapping[str, Array]]
    worst: Mapping[str, float]
    pools: tuple[int, ...] = (1,)
    codes: bool = False
    all_images: bool = False
    total: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that it gives."""
        return *([self.total] if self.total else []), *self.worst


def make_heads(
    scores: Sequence[ForwardScore],
    network: Network,
    pools: Mapping[int, int],
    *,
    calibration: int,
    train: int,
    classes: int,
    codes_at_once: int = 1,
) -> Callable[..., dict[str, Array]]:
    """The function that scores one network, for a compiled pass.

    Args:
        scores: what is to be known.
        network: the slots and buffers of a space, with features of all pools.
        pools: by pool how many features a network has, in the order in which they follow one another.
        calibration: number of calibration images.
        train: number of train images among the images seen.
        classes: number of classes.
        codes_at_once: codes of ReLUs that are compared at once.

    Returns:
        A function of where the codes of networks are, the network's features, the codes of all networks, its row, the
        labels and the words of a key, to the numbers by name, and `failed`: 1 where a feature is NaN or infinite.
    """
    sizes = relus(network) if "codes" in network.buffers else ()
    ends = np.cumsum([*pools.values()])

    def look(places: Codes | None, x: Array, codes: Array | None, row: Array, labels: Array, key: Array) -> Seen:
        disagree, counts = {}, {}
        for number, size in enumerate(sizes):
            assert places is not None
            assert codes is not None
            chosen, counts[size] = places.of_features[row, number], places.counts[row, number]
            with jax.named_scope(f"relus{number}"):
                disagree[size] = disagreements(codes, chosen, counts[size], codes_at_once)
        features = dict(zip(pools, jnp.split(x, ends[:-1], -1), strict=True))
        return Seen(features, disagree, counts, labels, calibration, train, classes, jax.random.wrap_key_data(key))

    def score(*arguments: Any) -> dict[str, Array]:
        net = look(*arguments)
        failed_batch = _not_finite(x[:calibration] for x in net.features.values())
        failed_anywhere = _not_finite(net.features.values())
        values = {"failed": failed_anywhere.astype(jnp.float32)}
        for each in scores:
            failed = failed_anywhere if each.all_images else failed_batch
            for name, value in each.head(net).items():
                bad = failed | ~jnp.isfinite(value)
                values[name] = jnp.where(bad, jnp.float32(each.worst[name]), value.astype(jnp.float32))
        return values

    return score


def _not_finite(arrays: Iterable[Array]) -> Bool[Array, ""]:
    return ~jnp.array([jnp.isfinite(x).all() for x in arrays]).all()
