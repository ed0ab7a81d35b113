"""One compiled pass over a population, and every score that needs nothing else.

The networks see the calibration images, which are the first train images, with the statistics of that batch, and the
images after them with those statistics held. Observers in the pass keep pooled features, and which ReLUs are on; heads
make scores of what was seen, network by network. Scores that look at the calibration images alone spare the others.

Kernels belong to slots and so are shared by the genomes of a population. On several hosts each takes its part of the
genomes, and they exchange scores alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rwejax import networks
from rwejax.config import PRECISIONS
from rwejax.data import Dataset
from rwejax.errors import InputError
from rwejax.evaluate.compiled_pass import Setting, compile_pass, first_draw, initialiser
from rwejax.evaluate.heads import ForwardScore
from rwejax.evaluate.images import images_mesh, split_images
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.shares import of_all_hosts, share_out
from rwejax.genomes import check_genomes
from rwejax.networks import ABSENT, Program
from rwejax.runtime import collectives
from rwejax.runtime.device_kinds import DeviceKind, kind_of
from rwejax.runtime.devices import default_devices
from rwejax.spaces import Space

_MAX_GENOMES = 64
_POPULATION = 40  # genomes of a generation by default
_MAPS_BESIDE = 8  # maps as large as the largest that a row may need beside its own, by what XLA asks for on an H100


class ForwardScores(NamedTuple):
    """What a population's networks are worth.

    Attributes:
        values: by name one number a genome, averaged over the initialisations.
        failed: of each genome the initialisations that failed; see `ForwardScore`.
    """

    values: dict[str, Float[np.ndarray, " n"]]
    failed: Int[np.ndarray, " n"]


class ForwardPass:
    """Scores whole populations in one compiled pass.

    The first call compiles, later calls of any population do not. Equal parts of different genomes are computed once.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        scores: what is to be known of each network.
        seeds: initialisations to average over.
        genomes_per_program: genomes that are evaluated together, by default the size of the first population, at most
            64 and as many as a third of a CPU's or TPU's memory holds, or half of a GPU's. Memory grows with it; so
            does the share of work that genomes have in common.
        images_per_batch: images that a device takes through the networks at once, after the calibration images or, if
            these are all, beside them. By default a CPU's largest feature map of a batch has about 2 MiB; an
            accelerator takes all, if it holds the maps of 40 genomes so, and else 1,024.
        calibration_images: the first so many train images, or all of them, give the normalisation statistics.
        precision: of the networks on accelerators, see `rwejax.RandomWeightEvaluator`.
        devices: the devices over which the images are split; by default all of JAX's, as far as they divide the
            calibration images. Of several hosts, each uses its own.
        three_keys: whether kernels are drawn from the first of three keys that a seed's key gives, and not from that
            key itself as those of random-weight evaluation alone are. So the scores of older runs come out again.
        kind: what sizes are chosen for, by default the kind of `devices`. A pass for another kind can be exported, and
            be compiled for devices that are not here.

    Attributes:
        network: the groups of rows that programs run.
        images: as the devices hold them.
        chunk_sizes: rows computed at once, descending.
        heads_at_once: networks whose scores are computed at once, on a device.
        genomes_per_program: that a program holds, once the first population is known.

    Raises:
        InputError: an argument is out of its range, or space and dataset do not fit.
    """

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        scores: Sequence[ForwardScore],
        *,
        seeds: int = 1,
        genomes_per_program: int | None = None,
        images_per_batch: int | None = None,
        calibration_images: int = 400,
        precision: str = "auto",
        devices: Sequence[jax.Device] | None = None,
        three_keys: bool = False,
        kind: DeviceKind | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision {precision!r} is unknown: choose one of {', '.join(PRECISIONS)}")
        dataset = checked(space, dataset)
        for name, value in {
            "seeds": seeds,
            "genomes_per_program": genomes_per_program,
            "images_per_batch": images_per_batch,
            "calibration_images": calibration_images,
        }.items():
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}: give 1 or more")
        self.space, self.dataset, self.seeds, self.scores = space, dataset, seeds, tuple(scores)
        self._pools = tuple(sorted({pool for score in scores for pool in score.pools}))
        self.network = networks.network(space, self._pools, any(score.codes for score in scores))
        self._genomes = genomes_per_program
        self._calibration = calibration = min(calibration_images, len(dataset.train_images))
        self._mesh = images_mesh(default_devices() if devices is None else devices, calibration)
        self._kind = kind or kind_of(self._mesh.local_devices[0])
        precision = self._kind.precision if precision == "auto" else precision
        self._dtype = np.dtype("bfloat16" if precision == "bfloat16" else "float32")
        self._products = "tensorfloat32" if precision == "tensorfloat32" else "float32"
        self.chunk_sizes, self.heads_at_once = self._kind.chunk_sizes, self._kind.heads_at_once
        rest = any(score.all_images for score in scores)
        images = len(dataset.train_images) + len(dataset.validation_images)
        if images_per_batch is None:
            largest = max(self._dtype.itemsize * int(np.prod(shape)) for shape in self.network.buffers.values())
            images_per_batch = self._kind.images_at_once(largest)
            if rest and self._hold(images, largest):
                images_per_batch = images
        self.images = split_images(dataset, self._mesh, calibration, images_per_batch, rest)
        self._batches = len(self.images.batches) > 0
        self._initialise = initialiser(self.network, three_keys)
        self._evaluate: Any = None
        self._maps: Any = None

    def __call__(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> ForwardScores:
        """Score a population.

        Args:
            key: draws the weights; the same key gives the same weights.
            genomes: the population; genomes that decode to the same network get the same scores.

        Returns:
            The scores, in the order of the genomes.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        genomes = np.asarray(check_genomes(self.space, genomes))
        with jax.enable_x64(False):  # the numbers are the same, whatever else the program computes
            return self._score(key, np.asarray(self.space.canonical(genomes)))

    def _score(self, key: jax.Array, genomes: Int[np.ndarray, "n genes"]) -> ForwardScores:
        shares = share_out(self.space, genomes)
        self._prepare(max(map(len, shares)))
        kernels, keys = self._initialise(jax.random.split(key, self.seeds))
        worst = {name: value for score in self.scores for name, value in score.worst.items()} | {"failed": 1.0}
        found = np.zeros((len(worst), self.seeds, len(genomes)), np.float32)
        mine = shares[jax.process_index()]
        for members, program, rows in self.programs(genomes[mine]):
            values = self._run(self._evaluate, program, kernels, keys)
            for number, (name, bad) in enumerate(worst.items()):
                found[number, :, mine[members]] = np.where(
                    rows == ABSENT, bad, collectives.gathered(values[name])[:, rows]
                ).T
        found = of_all_hosts(found, shares)
        values = dict(zip(worst, found.astype(float).mean(1), strict=True))
        failed = np.rint(self.seeds * values.pop("failed")).astype(int)
        for score in self.scores:
            if score.total:  # compiled, the sum would be contracted with what comes before it, here so and there so
                values[score.total] = sum((values[name] for name in score.worst), np.zeros(len(genomes)))
        return ForwardScores(values, failed)

    def features(self, key: jax.Array, genomes: Int[Any, "n genes"]) -> Float[np.ndarray, "n images d"]:
        """The pooled features behind the scores, for studies; a search never moves them off the device.

        Args:
            key: draws the weights; the features are those of the first of the `seeds` draws.
            genomes: the population.

        Returns:
            For each genome one row an image, the train images first, before standardisation; zeros for a network
            through which no path leads. Features of several pools follow one another.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        genomes = np.asarray(self.space.canonical(np.asarray(check_genomes(self.space, genomes))))
        with jax.enable_x64(False):
            self._prepare(len(genomes))
            kernels, _ = self._initialise(jax.random.split(key, self.seeds)[:1])
            places = collectives.gathered(self.images.places)
            found = np.zeros((len(genomes), len(places), *self.network.buffers["features"]), np.float32)
            for members, program, rows in self.programs(genomes):
                out = self._run(self._features, program, kernels)
                there = rows != ABSENT
                found[members[there]] = collectives.gathered(out)[rows[there]][:, places]
        return found

    def kernels(self, key: jax.Array) -> networks.Kernels:
        """The kernels that a key draws, for studies.

        Args:
            key: as it is given with a population; of several `seeds`, the first draw.
        """
        return first_draw(self._initialise(jax.random.split(key, self.seeds))[0])

    def programs(
        self, genomes: Int[np.ndarray, "n genes"]
    ) -> Iterator[tuple[Int[np.ndarray, " m"], Program, Int[np.ndarray, " m"]]]:
        """Split a population into programs. Sorted genomes lie next to those with which they share rows.

        Args:
            genomes: the population, in canonical form.

        Yields:
            Which genomes, their program, and the row of features of each, `ABSENT` where no path leads through.
        """
        if not len(genomes):
            return
        self._prepare(len(genomes))
        pending = np.array_split(np.lexsort(genomes.T[::-1]), -(-len(genomes) // self.genomes_per_program))
        while pending:
            members = pending.pop(0)
            try:
                program, rows = networks.lower(
                    self.space,
                    self.network,
                    genomes[members],
                    self.genomes_per_program,
                    self.chunk_sizes,
                    self._buffer_sizes,
                )
            except networks.CapacityError:
                pending[:0] = np.array_split(members, 2)
            else:
                yield members, program, rows

    def export(self, genomes: int, platforms: Sequence[str]) -> jax.export.Exported:
        """Lower (program, images, kernels, keys) -> scores for other platforms.

        Args:
            genomes: the number of genomes that a program holds.
            platforms: "cpu", "cuda", "rocm" or "tpu".

        Returns:
            The lowering, made without a population and without those devices.
        """
        self._prepare(genomes)
        program = networks.empty_program(self.network, self.genomes_per_program, self.chunk_sizes)
        keys = jax.random.split(jax.random.key(0), self.seeds)
        drawn = jax.eval_shape(self._initialise, keys)
        return jax.export.export(self._evaluate, platforms=platforms)(
            program, self.images, *drawn, self._map_shapes(self._buffer_sizes)
        )

    def export_kernels(self, platforms: Sequence[str]) -> jax.export.Exported:
        """Lower keys -> (kernels, keys of the heads), what a pass calls before its programs, for other platforms.

        Args:
            platforms: "cpu", "cuda", "rocm" or "tpu".
        """
        return jax.export.export(self._initialise, platforms=platforms)(jax.random.split(jax.random.key(0), self.seeds))

    def _prepare(self, genomes: int) -> None:
        """Fix the capacity at the first population, and build the compiled pass."""
        if self._evaluate is not None:
            return
        # The first exchange between hosts fails if one is late, and compilations take a while.
        collectives.every_host(0)
        devices = self._mesh.size
        wanted = self._genomes or self._genomes_in_memory(min(max(genomes, 1), _MAX_GENOMES))
        # Two a device at least: for a single one XLA writes the loop over networks away, and heads come out otherwise.
        self.genomes_per_program = max(2, -(-wanted // devices)) * devices
        self._buffer_sizes = networks.buffer_sizes(self.space, self.network, self.genomes_per_program, self.chunk_sizes)
        self.heads_at_once = min(self._kind.heads_at_once, self.genomes_per_program // devices)
        self._evaluate, self._features, self._allocate = compile_pass(
            Setting(
                network=self.network,
                scores=self.scores,
                pools=tuple((pool, networks.network(self.space, pool).buffers["features"][0]) for pool in self._pools),
                mesh=self._mesh,
                capacity=self.genomes_per_program,
                chunk_sizes=tuple(self.chunk_sizes),
                heads_at_once=self.heads_at_once,
                codes_at_once=self._kind.codes_at_once,
                dtype=self._dtype.name,
                products=self._products,
                seeds=self.seeds,
                calibration=self._calibration,
                train=min(len(self.dataset.train_labels), self.images.labels.shape[0]),
                classes=self.dataset.classes,
                batches=self._batches,
            )
        )

    def _genomes_in_memory(self, most: int) -> int:
        """Genomes, so many at most, whose buffers fill a third of a CPU's or TPU's memory, or half of a GPU's."""
        limit = self._kind.map_memory(self._mesh.size)
        genomes = most
        while genomes > 1:
            sizes = networks.buffer_sizes(self.space, self.network, genomes, self.chunk_sizes)
            share = limit / self._bytes_of(self._map_shapes(sizes))
            if share >= 1:
                break
            genomes = max(1, min(genomes - 1, int(genomes * share)))
        return genomes

    def _hold(self, images: int, largest: int) -> bool:
        """Whether accelerators hold the maps of a search's population of all images, and what making them takes."""
        if self._kind.platform == "cpu":  # whose cache is to hold a map
            return False
        sizes = networks.buffer_sizes(self.space, self.network, _POPULATION, self.chunk_sizes)
        maps = self._bytes_of(networks.map_shapes(self.network, sizes, self._calibration, images, 0, self._dtype))
        beside = _MAPS_BESIDE * self.chunk_sizes[0] * images * largest
        return max(maps, beside) <= self._kind.map_memory(self._mesh.size)

    def _bytes_of(self, shapes: tuple[Any, Any]) -> int:
        """Of maps, over all devices, each of which gets the codes of all images besides."""
        sizes = [shape.size * shape.dtype.itemsize for shape in jax.tree.leaves(shapes)]
        codes = shapes[0].get("codes")
        return sum(sizes) + (0 if codes is None else self._mesh.size * codes.size * codes.dtype.itemsize)

    def _run(self, function: Any, program: Program, *drawn: Any) -> Any:
        """Call a compiled pass with the maps of the last call, or with new ones where that was interrupted."""
        maps, self._maps = self._maps or self._new_maps(), None
        result, self._maps = function(program, self.images, *drawn, maps)
        return result

    def _map_shapes(self, sizes: Mapping[str, int]) -> tuple[Any, Any]:
        """The maps of the first images and of a batch of others."""
        batch = self.images.batches.shape[1] if self._batches else 0
        return networks.map_shapes(self.network, sizes, self._calibration, len(self.images.first), batch, self._dtype)

    def _new_maps(self) -> tuple[networks.Maps, networks.Maps]:
        return self._allocate(tuple(jax.tree.leaves(self._map_shapes(self._buffer_sizes))))
