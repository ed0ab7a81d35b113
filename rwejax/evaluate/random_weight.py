"""Random-weight evaluation: keep the random weights, fit the last layer, and rank by its error.

[1] Hu, Cheng, He, Lu, Wang, Zhang, "Accelerating multi-objective neural architecture search by random-weight
    evaluation", Complex & Intelligent Systems 2021, https://arxiv.org/abs/2110.05242
[2] Hu, Cheng, He, Lu, "Multi-objective neural architecture search with almost no training", EMO 2021,
    https://arxiv.org/abs/2011.13591

Ours by choice: kernels belong to slots and so are shared by the genomes of a population, normalisation statistics come
from a calibration batch, and the head is a closed-form ridge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from rwejax import networks
from rwejax.config import PRECISIONS
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.ridge import FAILED, RidgeScores, constant_scores, ridge_scores
from rwejax.networks import ABSENT, IMAGES_AXIS, Program
from rwejax.objectives import RWE_SCORES
from rwejax.runtime import collectives
from rwejax.runtime.devices import default_devices, memory
from rwejax.spaces import Space
from rwejax.spaces.base import integer_genomes

_MAX_GENOMES = 64


@struct.dataclass
class Scores:
    """The scores of a population, each averaged over the initialisations.

    Attributes:
        loo_error: leave-one-out error on train and validation images, in %.
        validation_error: error on the validation images of a head fitted on the train images, in %.
        loo_squared_error: leave-one-out squared error, summed over the entries of the one-hot target.
        log_evidence: log marginal likelihood of the targets, in nats an image and class; higher is better.
        failed: number of initialisations with NaN or infinite features, or with none since no path leads through the
            network; they score 100 %, infinity or minus infinity.
        score: the name of the score that ranks.
    """

    loo_error: Float[np.ndarray, " n"]
    validation_error: Float[np.ndarray, " n"]
    loo_squared_error: Float[np.ndarray, " n"]
    log_evidence: Float[np.ndarray, " n"]
    failed: Int[np.ndarray, " n"]
    score: str = struct.field(pytree_node=False, default="loo_error")

    @property
    def error(self) -> Float[np.ndarray, " n"]:
        """The classification error in %: on the validation images where they rank, else leave-one-out."""
        return self.validation_error if self.score == "validation_error" else self.loo_error

    @property
    def objective(self) -> Float[np.ndarray, " n"]:
        """The score that ranks, signed so that lower is better."""
        return RWE_SCORES[self.score].minimised(getattr(self, self.score))


class _Images(NamedTuple):
    """What the compiled pass is told of the dataset, and how it is split over the devices.

    Attributes:
        calibration: images that give the normalisation statistics.
        batches: all others, batch by batch; the last is filled up.
        labels: of all images, in the order of the dataset.
    """

    calibration: Any
    batches: Any
    labels: Any


_SPLIT = _Images(PartitionSpec(IMAGES_AXIS), PartitionSpec(None, IMAGES_AXIS), PartitionSpec())
_MAPS = PartitionSpec(None, IMAGES_AXIS)


class RandomWeightEvaluator:
    """Scores whole populations in one compiled pass.

    The first call compiles, later calls of any population do not. Equal parts of different genomes are computed once.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        seeds: initialisations to average over.
        score: which of `RWE_SCORES` ranks.
        genomes_per_program: genomes that are evaluated together, by default the size of the first population, at most
            64 and as many as a third of a CPU's memory holds, or half of an accelerator's. Memory grows with it; so
            does the share of work that genomes have in common.
        images_per_batch: images that a device takes through the networks at once. By default a CPU's largest feature
            map of a batch has about 2 MiB, and an accelerator takes 1,024.
        calibration_images: the first so many train images give the normalisation statistics.
        precision: of the networks on accelerators. "float32" computes products in full; "tensorfloat32" lets the
            hardware keep fewer bits of their factors, which a CPU never does; "bfloat16" keeps kernels and feature
            maps in 16 bits, which halves the memory, and which a CPU only imitates. Sums, statistics, features and
            head are float32 in full.
        devices: the devices over which the images are split; by default all of JAX's, as far as they divide the
            calibration images. Where they are those of several hosts, each host makes the same calls and gets all of
            the scores, and gives as many devices as the others.

    Raises:
        InputError: an argument is out of its range, or space and dataset do not fit.

    Example:
        >>> import jax
        >>> from rwejax import data, spaces
        >>> dataset = data.load("digits", train=100, validation=50)
        >>> space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape)
        >>> evaluate = RandomWeightEvaluator(space, dataset)
        >>> scores = evaluate(jax.random.key(0), space.sample(jax.random.key(1), 3))
        >>> scores.error.shape, bool((scores.error < 90).all())
        ((3,), True)
    """

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        seeds: int = 1,
        score: str = "loo_error",
        genomes_per_program: int | None = None,
        images_per_batch: int | None = None,
        calibration_images: int = 256,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        _check_names(score, precision)
        dataset = checked(space, dataset)
        _check_counts(dataset)
        for name, value in {
            "seeds": seeds,
            "genomes_per_program": genomes_per_program,
            "images_per_batch": images_per_batch,
            "calibration_images": calibration_images,
        }.items():
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}: give 1 or more")
        self.space, self.dataset, self.seeds, self.score = space, dataset, seeds, score
        self.reference = float(RWE_SCORES[score].minimised(constant_scores(_labels(dataset), dataset.classes)[score]))
        self._network = networks.network(space)
        self._dtype = jnp.dtype("bfloat16" if precision == "bfloat16" else "float32")
        self._products = "tensorfloat32" if precision == "tensorfloat32" else "float32"
        self._genomes = genomes_per_program
        calibration = min(calibration_images, len(dataset.train_images))
        self._mesh, self._hosts = _mesh(default_devices() if devices is None else devices, calibration)
        cpu = self._mesh.devices.flat[0].platform == "cpu"
        self._chunk = 1 if cpu else 4
        if images_per_batch is None:
            largest = max(self._dtype.itemsize * int(np.prod(shape)) for shape in self._network.buffers.values())
            images_per_batch = max(8, 2**21 // largest) if cpu else 1024
        self._images, self._order = self._split_images(calibration, images_per_batch)
        # LLVM takes ten seconds to optimise these many small random draws, which run once a search.
        self._initialise = jax.jit(
            partial(networks.initialise, self._network),
            compiler_options={"xla_backend_optimization_level": 1},
        )
        self._evaluate: Any = None
        self._maps: Any = None

    def __call__(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Scores:
        """Score a population.

        Args:
            key: draws the weights; the same key gives the same weights.
            genomes: the population; genomes that decode to the same network get the same scores.

        Returns:
            The scores, as numpy arrays in the order of the genomes.

        Raises:
            InputError: the genomes are floats.
        """
        with jax.enable_x64(False):  # the numbers are the same, whatever else the program computes
            return self._score(key, integer_genomes(genomes))

    def _score(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Scores:
        self._prepare(len(genomes))
        draws = [self._initialise(draw) for draw in jax.random.split(key, self.seeds)]
        total = {name: np.zeros(len(genomes)) for name in RidgeScores._fields}
        for members, program, rows in self._programs(np.asarray(self.space.canonical(genomes))):
            for kernels in draws:
                scores = self._run(self._evaluate, program, kernels)
                for name, values in scores._asdict().items():
                    total[name][members] += np.where(rows == ABSENT, FAILED[name], collectives.gathered(values)[rows])
        failed = total.pop("failed").astype(int)
        return Scores(**{name: values / self.seeds for name, values in total.items()}, failed=failed, score=self.score)

    def features(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Float[np.ndarray, "n images d"]:
        """The pooled features behind the scores, for studies; a search never moves them off the device.

        Args:
            key: draws the weights; the features are those of the first of the evaluator's `seeds` draws.
            genomes: the population.

        Returns:
            For each genome one row an image, the train images first, before standardisation; zeros for a network
            through which no path leads.
        """
        with jax.enable_x64(False):
            return self._all_features(key, integer_genomes(genomes))

    def _all_features(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, "n images d"]:
        self._prepare(len(genomes))
        kernels = self._initialise(jax.random.split(key, self.seeds)[0])
        found = np.zeros((len(genomes), len(self._order), *self._network.buffers["features"]), np.float32)
        for members, program, rows in self._programs(np.asarray(self.space.canonical(genomes))):
            out = self._run(self._features, program, kernels)
            there = rows != ABSENT
            found[members[there]] = collectives.gathered(out)[rows[there]][:, self._order]
        return found

    def export(self, genomes: int, platforms: Sequence[str]) -> jax.export.Exported:
        """Lower (program, images, kernels) -> scores for other platforms.

        Args:
            genomes: the number of genomes that a program holds.
            platforms: "cpu", "cuda", "rocm" or "tpu".

        Returns:
            The lowering, made without a population and without those devices.
        """
        self._prepare(genomes)
        program = networks.empty_program(self._network, self._capacity, self._chunk)
        kernels = jax.eval_shape(self._initialise, jax.random.key(0))
        return jax.export.export(self._evaluate, platforms=platforms)(
            program, self._images, kernels, jax.eval_shape(self._new_maps)
        )

    def _split_images(self, calibration: int, images_per_batch: int) -> tuple["_Images", Int[np.ndarray, " n"]]:
        """Put the images on the devices, and say where the compiled pass puts each image's features."""
        devices = self._mesh.size
        images = np.concatenate([self.dataset.train_images, self.dataset.validation_images])
        rest = len(images) - calibration
        batches = -(-rest // (images_per_batch * devices))
        size = -(-rest // (batches * devices)) * devices
        padded = np.concatenate([np.arange(calibration, len(images)), np.zeros(batches * size - rest, int)])
        padded = padded.reshape(batches, size)
        # Each device returns its own share of the calibration images, then its own share of every batch.
        shares = np.split(np.arange(calibration), devices), np.split(padded, devices, axis=1)
        order = np.concatenate([part.ravel() for pair in zip(*shares, strict=True) for part in pair])
        place = np.zeros(len(images), int)
        place[order[::-1]] = np.arange(len(order))[::-1]
        found = images[:calibration], images[padded], _labels(self.dataset)
        parts = [collectives.spread(x, self._mesh, spec) for x, spec in zip(found, _SPLIT, strict=True)]
        return _Images(*parts), place

    def _prepare(self, genomes: int) -> None:
        """Fix the capacity at the first population, and build the compiled pass."""
        if self._evaluate is not None:
            return
        devices = self._mesh.size
        wanted = self._genomes or self._genomes_in_memory(min(genomes, _MAX_GENOMES))
        if self._hosts > 1:  # one program for all, which fits the one with the least memory
            wanted = int(collectives.every_host(wanted).min())
        collectives.meet(self._mesh)
        self._capacity = -(-wanted // devices) * devices
        self._chunk = min(self._chunk, self._capacity)
        self._buffer_sizes = networks.buffer_sizes(self.space, self._network, self._capacity, self._chunk)
        run = networks.make_features(self._network, self._capacity, self._chunk, self._dtype)
        # Compiled functions must not hold the evaluator, whose maps are to go when it goes.
        order, products, classes = self._order, self._products, self.dataset.classes
        train, share = len(self.dataset.train_labels), self._capacity // devices

        def features(program: Program, images: _Images, kernels: Any, maps: Any) -> tuple[Array, Any]:
            with jax.default_matmul_precision(products):
                return run(program, images.calibration, images.batches, kernels, maps)

        def evaluate(program: Program, images: _Images, kernels: Any, maps: Any) -> tuple[RidgeScores, Any]:
            x, maps = features(program, images, kernels, maps)
            # From a share of the images of every network to all images of a share of the networks.
            x = lax.all_to_all(x, IMAGES_AXIS, 0, 1, tiled=True)[:, order]

            def score(row: Array, scores: RidgeScores) -> RidgeScores:
                with jax.default_matmul_precision("float32"):
                    new = ridge_scores(x[row], images.labels, classes, train)
                return jax.tree.map(lambda all_rows, value: all_rows.at[row].set(value), scores, new)

            scores = jnp.zeros(share, jnp.float32)
            nothing = RidgeScores(scores, scores, scores, scores, failed=jnp.zeros(share, bool))
            mine = jnp.clip(program.features - lax.axis_index(IMAGES_AXIS) * share, 0, share)
            return lax.fori_loop(0, mine, score, nothing), maps

        self._evaluate = self._compile(evaluate, PartitionSpec(IMAGES_AXIS))
        self._features = self._compile(features, PartitionSpec(None, IMAGES_AXIS))

    def _genomes_in_memory(self, most: int) -> int:
        """Genomes, so many at most, whose maps fill a third of a CPU's memory, or half of an accelerator's."""
        limit = (self._mesh.local_devices[0].memory_stats() or {}).get("bytes_limit", 0) * self._mesh.size / 2
        limit = limit or memory() * self._hosts / 3
        genomes = most
        while genomes > 1:
            shapes = self._map_shapes(networks.buffer_sizes(self.space, self._network, genomes, self._chunk))
            share = limit / sum(shape.size * shape.dtype.itemsize for shape in jax.tree.leaves(shapes))
            if share >= 1:
                break
            genomes = max(1, min(genomes - 1, int(genomes * share)))
        return genomes

    def _compile(self, function: Callable[..., Any], out_specs: PartitionSpec) -> Any:
        """Split the images over the devices, and give them all of the program and the kernels."""
        in_specs = PartitionSpec(), _SPLIT, PartitionSpec(), _MAPS
        split = jax.shard_map(
            function, mesh=self._mesh, in_specs=in_specs, out_specs=(out_specs, _MAPS), check_vma=False
        )
        return jax.jit(split, donate_argnames="maps")

    def _run(self, function: Any, program: Program, kernels: Any) -> Any:
        """Call a compiled pass with the maps of the last call, or with new ones where that was interrupted."""
        maps, self._maps = self._maps or self._new_maps(), None
        result, self._maps = function(program, self._images, kernels, maps)
        return result

    def _map_shapes(
        self, sizes: Mapping[str, int]
    ) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, jax.ShapeDtypeStruct]]:
        """The maps of the calibration images and of a batch."""
        counts = self._images.calibration.shape[0], self._images.batches.shape[1]
        calibration, batch = (networks.map_shapes(self._network, sizes, count, self._dtype) for count in counts)
        return calibration, batch

    def _new_maps(self) -> tuple[networks.Maps, networks.Maps]:
        shapes = self._map_shapes(self._buffer_sizes)
        # All in one program: to compile one for each takes a second.
        make = jax.jit(lambda: jax.tree.map(jnp.zeros_like, shapes), out_shardings=NamedSharding(self._mesh, _MAPS))
        return make()

    def _programs(
        self, genomes: Int[np.ndarray, "n genes"]
    ) -> Iterator[tuple[Int[np.ndarray, " m"], Program, Int[np.ndarray, " m"]]]:
        """Split a population into programs: which genomes, the program, and the row of features of each genome.

        Sorted genomes lie next to those with which they share rows.
        """
        pending = np.array_split(np.lexsort(genomes.T[::-1]), -(-len(genomes) // self._capacity))
        while pending:
            members = pending.pop(0)
            try:
                program, rows = networks.lower(
                    self.space, self._network, genomes[members], self._capacity, self._chunk, self._buffer_sizes
                )
            except networks.CapacityError:
                pending[:0] = np.array_split(members, 2)
            else:
                yield members, program, rows


def _labels(dataset: Dataset) -> Int[np.ndarray, " n"]:
    return np.concatenate([dataset.train_labels, dataset.validation_labels])


def _check_names(score: str, precision: str) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown: choose one of {', '.join(PRECISIONS)}")
    if score not in RWE_SCORES:
        raise InputError(f"score {score!r} is unknown: choose one of {', '.join(RWE_SCORES)}")


def _check_counts(dataset: Dataset) -> None:
    """A leave-one-out residual of a head needs two images, and the validation error one more."""
    for name, least in (("train", 2), ("validation", 1)):
        if (count := len(getattr(dataset, f"{name}_labels"))) < least:
            raise InputError(f"the dataset has {count} {name} images: give {least} or more")


def _mesh(devices: Sequence[jax.Device], calibration: int) -> tuple[Mesh, int]:
    """As many devices of each host as divide the calibration images evenly, and the number of hosts."""
    hosts = collectives.by_host(devices)
    most = min(map(len, hosts))
    counts = [count for count in range(1, most + 1) if calibration % (count * len(hosts)) == 0]
    if not counts:
        raise InputError(f"calibration_images is {calibration}: give a multiple of {len(hosts)}, the number of hosts")
    chosen = [device for host in hosts for device in host[: max(counts)]]
    return Mesh(np.array(chosen), (IMAGES_AXIS,), axis_types=(AxisType.Auto,)), len(hosts)
