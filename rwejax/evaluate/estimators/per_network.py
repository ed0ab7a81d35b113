"""What the estimators that look at one network at a time share: the network as functions, and a population's pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import AxisType, Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from rwejax import networks
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.inputs import check_batch, checked
from rwejax.genomes import check_genomes
from rwejax.networks import IMAGES_AXIS, NOTHING, ActivationObserver, Norm, PerNetwork, Program
from rwejax.runtime import collectives
from rwejax.runtime.devices import default_devices
from rwejax.spaces import Space

Params = dict[str, Array]
Loss = Callable[[Float[Array, "images classes"]], Float[Array, ""]]

_GENOMES_AXIS = "genomes"
_MAX_GENOMES = 64


@dataclass(frozen=True)
class Classifier:
    """One genome's network with a linear layer on its pooled features.

    Attributes:
        network: the passes.
        program: the genome.
        params: a table of kernels for each group, and `head`, the linear layer's (features, classes) weights.
        images: one batch.
        labels: their classes.
        key: for what an estimator draws itself.
    """

    network: PerNetwork
    program: Program
    params: Params
    images: Float[Array, "images height width channels"]
    labels: Int[Array, " images"]
    key: jax.Array

    def observe(
        self,
        observer: ActivationObserver,
        images: Float[Array, "images height width channels"] | None = None,
        collection: str = "relus",
    ) -> tuple[Float[Array, "images features"], Any]:
        """The pooled features, and what an observer has seen.

        Args:
            observer: is shown inputs, and whether each counts or is padding.
            images: the batch; None: the network's own.
            collection: whose inputs: those of every ReLU, "relus", or of every normalisation, "norms".
        """
        images = self.images if images is None else images
        passed = self.network.forward(self.program, self.params, images, observer, collection)
        return passed.buffers["features"][0], passed.seen

    def logits(self, params: Params, images: Array) -> Float[Array, "images classes"]:
        """The linear layer's outputs.

        Args:
            params: weights as `params` of this class holds them, such as these after some steps of training.
            images: (images, height, width, channels), the batch, whose statistics normalise.
        """
        return self.network.forward(self.program, params, images).buffers["features"][0] @ params["head"]

    def gradient(
        self, params: Params, images: Array, loss: Loss, observer: ActivationObserver = NOTHING
    ) -> tuple[Params, Array, Any]:
        """The gradients of a loss of the logits.

        Args:
            params: weights to differentiate in.
            images: the batch.
            loss: of the logits.
            observer: is shown every layer's output, and the gradient in it.

        Returns:
            The gradients in the weights and in the images, and what was observed.
        """
        passed = self.network.forward(self.program, params, images)
        features = passed.buffers["features"][0]
        logits = features @ params["head"]
        in_logits = jax.grad(loss)(logits)
        observer = ActivationObserver(observer.add(observer.start, logits, in_logits), observer.add)
        found = self.network.backward(self.program, params, passed, in_logits @ params["head"].T, observer)
        return {**found.weights, "head": features.T @ in_logits}, found.images, found.seen

    def cross_entropy(self, logits: Float[Array, "images classes"]) -> Float[Array, ""]:
        """The training loss on the batch."""
        return optax.softmax_cross_entropy_with_integer_labels(logits, self.labels).mean()


class PerNetworkEstimator:
    """Scores each network of a population by itself, all in one compiled call.

    The first call compiles, later calls of any population do not. Genomes are split over all devices; where they are
    those of several hosts, each host makes the same calls and gets all of the scores.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: the first of its train images are the batch that the score looks at.
        score: of one network; higher is better.
        images: size of the batch.
        seeds: initialisations to average over.
        norm: `Norm.NONE` for networks without normalisation.
        pool: the last map is pooled to `pool` x `pool` features a channel.
        double: compute in double precision.
        devices: by default all of JAX's.

    Raises:
        InputError: the batch is empty or larger than the number of train images, `seeds` is below 1, or space and
            dataset do not fit.
    """

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        score: Callable[[Classifier], Float[Array, ""]],
        *,
        images: int = 128,
        seeds: int = 1,
        norm: Norm = Norm.BATCH,
        pool: int = 1,
        double: bool = False,
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        dataset = checked(space, dataset)
        check_batch(images, dataset)
        if seeds < 1:
            raise InputError(f"seeds is {seeds}: give 1 or more")
        self.space, self.seeds, self._double = space, seeds, double
        self._network = networks.network(space, pool)
        self._images, self._labels = dataset.train_images[:images], dataset.train_labels[:images]
        self._finite = bool(np.isfinite(self._images).all())
        self._classes = dataset.classes
        self._score, self._norm = score, norm
        everywhere = np.array(default_devices() if devices is None else devices)[:, None]
        # A batch of images lies on one device; the second axis is for the normalisation.
        self._mesh = Mesh(everywhere, (_GENOMES_AXIS, IMAGES_AXIS), axis_types=(AxisType.Auto,) * 2)
        self._capacity: int | None = None
        self._run = self._compile()

    def __call__(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Float[np.ndarray, " n"]:
        """Score a population.

        Args:
            key: draws the weights.
            genomes: the population; genomes that decode to the same network get the same scores.

        Returns:
            The scores, higher is better; minus infinity for a network that no image passes, or whose score is not
            finite, and for all where a pixel of the batch is NaN or infinite.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        canonical = np.asarray(self.space.canonical(check_genomes(self.space, genomes)))
        if not self._finite:  # some scores are of signs or of noise, and would hide it
            return np.full(len(canonical), -np.inf, np.float32)
        distinct, inverse = np.unique(canonical, axis=0, return_inverse=True)
        if self._capacity is None:
            collectives.meet(self._mesh)
            devices = self._mesh.shape[_GENOMES_AXIS]
            self._capacity = -(-min(len(distinct), _MAX_GENOMES) // devices) * devices
        size = self._capacity
        parts = [distinct[start : start + size] for start in range(0, len(distinct), size)]
        return np.concatenate([self._scores(key, part, size) for part in parts])[inverse.ravel()]

    def _scores(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"], size: int) -> Float[np.ndarray, " n"]:
        programs = [networks.lower(self.space, self._network, genome[None], 1)[0] for genome in genomes]
        programs += [networks.empty_program(self._network, 1)] * (size - len(programs))
        genomes_axis = PartitionSpec(_GENOMES_AXIS)
        stacked = jax.tree.map(
            lambda *tables: collectives.spread(np.stack(tables), self._mesh, genomes_axis), *programs
        )
        with jax.enable_x64(self._double):
            draws = [
                collectives.gathered(self._run(draw, stacked, self._images, self._labels))[: len(genomes)]
                for draw in jax.random.split(key, self.seeds)
            ]
        scores = np.mean(draws, 0)
        return np.where(np.isfinite(scores), scores, -np.inf)

    def _compile(self) -> Any:
        network = PerNetwork(self._network, self._norm)

        @jax.default_matmul_precision("float32")  # accelerators round the factors otherwise
        def run(key: jax.Array, programs: Program, images: Array, labels: Array) -> Float[Array, " n"]:
            key_kernels, key_head, key_score = jax.random.split(key, 3)
            kernels = networks.initialise(self._network, key_kernels)
            features = self._network.buffers["features"][0]
            head = jax.random.normal(key_head, (features, self._classes), jnp.float32) / np.float32(np.sqrt(features))

            def score(n: Array, scores: Array) -> Array:
                program = jax.tree.map(lambda table: table[n], programs)
                params = {**network.weights(program, kernels), "head": head}
                classifier = Classifier(network, program, params, images, labels, key_score)
                alive = program.features > 0
                value = lax.cond(
                    alive, lambda: self._score(classifier).astype(jnp.float32), lambda: jnp.float32(-jnp.inf)
                )
                return scores.at[n].set(value)

            alive = programs.features > 0
            last = jnp.max(jnp.where(alive, jnp.arange(1, len(alive) + 1), 0))
            return lax.fori_loop(0, last, score, jnp.full(len(alive), -jnp.inf, jnp.float32))

        genomes, everywhere = PartitionSpec(_GENOMES_AXIS), PartitionSpec()
        return jax.jit(
            jax.shard_map(
                run,
                mesh=self._mesh,
                in_specs=(everywhere, genomes, everywhere, everywhere),
                out_specs=genomes,
                check_vma=False,
            )
        )
