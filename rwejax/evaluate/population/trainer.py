"""Many different networks trained for real, each with weights of its own, by one compiled step.

A network is a table of its rows and tables of its variables (`rwejax.networks.variables`), which have the same shapes
for all networks of a space. So the first network compiles, and all others are data. Each device trains a network of its
own, epoch by epoch; those that run side by side have about as many multiply-adds.
"""

import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh
from jaxtyping import Bool, Float, Int

from rwejax import networks
from rwejax.data import Dataset
from rwejax.evaluate.inputs import checked
from rwejax.evaluate.population.compiled_step import ALL, AXIS, EACH, State, compile_step
from rwejax.evaluate.population.recipe import Recipe, epoch_order, key_of_steps, optimiser
from rwejax.genomes import check_genomes
from rwejax.networks import ABSENT, Program, Tables
from rwejax.runtime import collectives
from rwejax.runtime.devices import default_devices
from rwejax.spaces import Space


class Trained(NamedTuple):
    """What came of a network.

    Attributes:
        number: of the network, among those that were given.
        losses: mean cross-entropy of each step, on images as they were changed; NaN once it has diverged.
        train_accuracy: of the last epoch, likewise, in %, while the weights moved.
        validation_loss: mean cross-entropy after the last epoch.
        correct: validation images that are told right.
        tables: the rows' parameters and running statistics, see `rwejax.networks.from_tables`.
        head: of the linear layer.
        seconds: the network's share of the time that those took which were trained side by side.
    """

    number: int
    losses: Float[np.ndarray, " steps"]
    train_accuracy: float
    validation_loss: float
    correct: int
    tables: tuple[Tables, Tables]
    head: dict[str, Float[np.ndarray, "..."]]
    seconds: float


class _Epoch(NamedTuple):
    """An epoch of the networks that are trained side by side.

    Attributes:
        numbers: of the networks.
        sums: what `CompiledStep.epoch` gives besides their states.
        after: of the last epoch, what `CompiledStep.measure` gives, and the states.
    """

    numbers: list[int]
    sums: Any
    after: Any


class PopulationTrainer:
    """Trains the networks of a space on one set of images.

    The first call compiles, later calls of any genomes and numbers of epochs do not. On several hosts, all of them make
    the same calls.

    Args:
        space: the search space, made for the images of `dataset`.
        dataset: images and labels.
        recipe: how each network is trained.
        devices: the devices, each of which trains a network; by default all of JAX's.

    Attributes:
        recipe: with all that the images choose.
        networks_at_once: as many as there are devices.
        train_images, validation_images: how many.

    Raises:
        InputError: space and dataset do not fit, or the recipe is out of its bounds.
    """

    def __init__(
        self, space: Space, dataset: Dataset, recipe: Recipe, *, devices: Sequence[jax.Device] | None = None
    ) -> None:
        dataset = checked(space, dataset)
        self.space, self.recipe, self._dataset = space, recipe.settled(dataset), dataset
        everywhere = np.array(default_devices() if devices is None else devices)
        self._mesh = Mesh(everywhere, (AXIS,), axis_types=(AxisType.Auto,))
        self.networks_at_once = self._mesh.size
        self.train_images, self.validation_images = len(dataset.train_labels), len(dataset.validation_labels)
        self._network = networks.network(space)
        self._key_steps = key_of_steps(self.recipe.seed)
        self._train_images, self._validation_images = (
            collectives.spread(images, self._mesh, ALL) for images in (dataset.train_images, dataset.validation_images)
        )
        self._room, self._epoch, self._measure = compile_step(self._network, self.recipe, self._mesh)

    def __call__(self, genomes: Int[Any, "n genes"], epochs: int | None = None) -> Iterator[Trained]:
        """Train networks.

        Args:
            genomes: the population.
            epochs: passes over the train images; None: as the recipe says.

        Yields:
            What came of each network, as soon as those that ran side by side are finished; large networks come first.
            One through which no path leads is left out. What comes of a network depends on no other.

        Raises:
            InputError: the genomes are none of the space, which says where.
        """
        collectives.meet(self._mesh)
        canonical = np.asarray(self.space.canonical(check_genomes(self.space, genomes)))
        lowered = {n: program for n, genome in enumerate(canonical) if (program := self._lower(genome)) is not None}
        order = sorted(lowered, key=lambda n: -int(self.space.macs(canonical[n : n + 1])[0]))
        size, epochs = self.networks_at_once, epochs or self.recipe.epochs
        side_by_side = [order[start : start + size] for start in range(0, len(order), size)]
        # Of two rounds, who had the larger network gets the smaller one.
        side_by_side[1::2] = [numbers[::-1] for numbers in side_by_side[1::2]]
        begin, sums = time.perf_counter(), []
        for epoch in _one_behind(self._epochs(side_by_side, lowered, epochs)):
            with jax.enable_x64(False):
                sums.append(jax.tree.map(collectives.gathered, epoch.sums))
                if epoch.after is None:
                    continue
                measured, states = jax.tree.map(collectives.gathered, epoch.after)
            now = time.perf_counter()
            seconds = (now - begin) / len(epoch.numbers)
            for number in sorted(epoch.numbers, key=order.index):
                yield self._described(number, epoch.numbers.index(number), sums, measured, states, seconds)
            begin, sums = now, []

    def alive(self, genomes: Int[np.ndarray, "n genes"]) -> Bool[np.ndarray, " n"]:
        """Through which networks a path leads from the image to the linear layer.

        Args:
            genomes: in canonical form.
        """
        return np.array([self._lower(genome) is not None for genome in genomes], bool)

    def export(self, genome: Int[np.ndarray, " genes"], platforms: Sequence[str]) -> jax.export.Exported:
        """Lower an epoch for other platforms.

        It takes programs, states, rooms, rows, labels, images, and (key, steps) to states, rooms and sums.

        Args:
            genome: in canonical form; all others have the same shapes.
            platforms: "cpu", "cuda", "rocm" or "tpu".

        Returns:
            The lowering, made without those devices.
        """
        steps = -(-self.train_images // self.recipe.batch_size)
        rows = np.zeros((steps, self.recipe.batch_size), np.int32)
        program = self._lower_living(genome)
        begun = jax.tree.map(lambda leaf: np.stack([leaf] * self.networks_at_once), (program, self._first(program)))
        return jax.export.export(self._epoch, platforms=platforms)(
            *begun, jax.eval_shape(self._room), rows, rows, self._train_images, (self._key_steps, np.int32(steps))
        )

    def _lower(self, genome: Int[np.ndarray, " genes"]) -> Program | None:
        program, (features,) = networks.lower(self.space, self._network, genome[None], 1)
        return None if features == ABSENT else program

    def _lower_living(self, genome: Int[np.ndarray, " genes"]) -> Program:
        program = self._lower(genome)
        assert program is not None
        return program

    def _epochs(self, side_by_side: list[list[int]], lowered: dict[int, Program], epochs: int) -> Iterator[_Epoch]:
        """Train networks, one on each device, without waiting for what comes of them."""
        images, labels = self._train_images, self._dataset.train_labels
        with jax.enable_x64(False):
            rooms = self._room()
        for numbers in side_by_side:
            missing = self.networks_at_once - len(numbers)
            with jax.enable_x64(False):
                started = [(lowered[n], self._first(lowered[n])) for n in numbers]
                started += [(networks.empty_program(self._network, 1), started[0][1])] * missing
                programs, states = self._spread(started)
            for epoch in range(epochs):
                rows = epoch_order(self.recipe.seed, epoch, len(labels), self.recipe.batch_size)
                fixed, after = (self._key_steps, np.int32(epochs * len(rows))), None
                with jax.enable_x64(False):
                    states, rooms, sums = self._epoch(programs, states, rooms, rows, labels[rows], images, fixed)
                    if epoch == epochs - 1:
                        validation = self._validation_images, self._dataset.validation_labels
                        rooms, measured = self._measure(programs, states, rooms, *validation)
                        after = measured, states
                yield _Epoch(numbers, sums, after)

    def _described(self, number: int, n: int, sums: list[Any], measured: Any, states: Any, seconds: float) -> Trained:
        """What came of the network on the n-th device."""
        state = jax.tree.map(lambda table: table[n], states)
        return Trained(
            number,
            np.concatenate([losses[n] for losses, _ in sums]),
            100 * float(sums[-1][1][n]) / (len(sums[-1][0][n]) * self.recipe.batch_size),
            float(measured[0][n]) / self.validation_images,
            int(measured[1][n]),
            (state.rows, state.statistics),
            state.head,
            seconds,
        )

    def _first(self, program: Program) -> State:
        """The state of a network before the first step."""
        rows, statistics = networks.first_tables(self._network, program, self.recipe.seed)
        head: Any = networks.first_head(self._network, program, self.space.classes, self.recipe.seed)
        return State(rows, head, statistics, self._first_momentum)

    @functools.cached_property
    def _first_momentum(self) -> Any:
        """What the optimiser begins with, of numpy: while devices train, arrays of JAX would wait for them."""
        rows, _ = networks.empty_tables(self._network)
        features, classes = self._network.buffers["features"], self.space.classes
        head = {"kernel": np.zeros((*features, classes), np.float32), "bias": np.zeros(classes, np.float32)}
        return jax.tree.map(np.asarray, optimiser(self.recipe, 1).init({"rows": rows, "head": head}))

    def variables(self, genome: Int[np.ndarray, " genes"], trained: Trained) -> dict[str, Any]:
        """The variables of a trained network, for the module that `rwejax.build` makes of its genome.

        Args:
            genome: the network's, in canonical form.
            trained: what came of it.
        """
        program = self._lower_living(genome)
        shapes = networks.variable_shapes(networks.build(self.space, genome), self._dataset.image_shape)
        found = networks.from_tables(self._network, program, trained.tables, shapes)
        kernel = trained.head["kernel"][networks.own_features(self._network, program)]
        return {**found, "params": {**found["params"], "head": {**trained.head, "kernel": kernel}}}

    def _spread(self, trees: Sequence[Any]) -> Any:
        return jax.tree.map(lambda *leaves: collectives.spread(np.stack(leaves), self._mesh, EACH), *trees)


def _one_behind(epochs: Iterator[_Epoch]) -> Iterator[_Epoch]:
    """Each epoch once the next one has been dispatched.

    So a device that has finished its network begins the next while others are busy, and results are fetched and
    networks lowered meanwhile. An interruption waits for two epochs at most.
    """
    epoch = next(epochs, None)
    while epoch is not None:
        following = next(epochs, None)
        yield epoch
        epoch = following
