"""What training compiles: an epoch of a network, and what it is worth after one.

The functions hold no images and no network, so that all trainers of a process that are set alike share them, and only
the first of these compiles.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from rwejax.evaluate.population.augment import augment
from rwejax.evaluate.population.recipe import Recipe, optimiser
from rwejax.networks import Network, Norm, PerNetwork, Program, Room, Tables
from rwejax.networks.gradients import in_training
from rwejax.runtime.kept import kept

AXIS = "networks"
EACH, ALL = PartitionSpec(AXIS), PartitionSpec()
_KEPT = 8  # networks and recipes, with their functions


@struct.dataclass
class State:
    """A network on its way.

    Attributes:
        rows: parameters of its rows, as tables.
        head: of the linear layer.
        statistics: running statistics of its rows, as tables.
        optimiser: momentum, and the number of steps.
    """

    rows: Tables
    head: dict[str, Array]
    statistics: Tables
    optimiser: Any


class CompiledStep(NamedTuple):
    """What is called, with a program, a `State` and a `Room` for each device. Rooms and an epoch's states are donated.

    Attributes:
        room: of nothing, to the rooms; one network after another writes there.
        epoch: of these, the numbers of the images of each step, their labels, all train images, and the key of the
            steps and the number of steps of the training, to the states, the rooms, and the losses of steps and how
            many images were told right.
        measure: of these, images and labels to the rooms, and the sum of the losses and how many images are told right.
    """

    room: Any
    epoch: Any
    measure: Any


def compile_step(network: Network, recipe: Recipe, mesh: Mesh) -> CompiledStep:
    """The functions that train the networks of a space, which are compiled when they are first called.

    Args:
        network: the groups.
        recipe: how each network is trained.
        mesh: the devices, each of which trains a network.
    """
    return _compile_step(network, dataclasses.replace(recipe, seed=0, epochs=1), mesh)  # which are arguments of a call


@kept(_KEPT)
def _compile_step(network: Network, recipe: Recipe, mesh: Mesh) -> CompiledStep:
    trained, measured = PerNetwork(network, Norm.TRAIN), PerNetwork(network, Norm.RUNNING)

    def epoch(
        program: Program,
        state: State,
        room: Room,
        rows: Int[Array, "steps batch"],
        labels: Int[Array, "steps batch"],
        images: Float[Array, "n height width channels"],
        fixed: tuple[jax.Array, Int[Array, ""]],
    ) -> tuple[State, Room, tuple[Float[Array, " steps"], Float[Array, ""]]]:
        key, total = fixed
        descent = optimiser(recipe, total)

        def step(i: Array, carry: tuple[State, Array, Array, Room]) -> tuple[State, Array, Array, Room]:
            state, losses, correct, room = carry
            count = state.optimiser[-1][-1].count
            key_images, _ = jax.random.split(jax.random.fold_in(key, count))
            batch = augment(key_images, images[rows[i]], recipe.crop_padding or 0, bool(recipe.flip), recipe.cutout)
            passed = trained.forward(program, state.rows, batch, statistics=state.statistics, room=room)
            features = passed.buffers["features"][0]

            def loss(head: dict[str, Array], features: Array) -> tuple[Array, Array]:
                logits = features @ head["kernel"] + head["bias"]
                targets = jax.nn.one_hot(labels[i], logits.shape[-1], dtype=logits.dtype)
                targets = optax.smooth_labels(targets, recipe.label_smoothing)
                told = (logits.argmax(-1) == labels[i]).sum().astype(jnp.float32)
                return optax.softmax_cross_entropy(logits, targets).mean(), told

            of_head = jax.value_and_grad(loss, (0, 1), has_aux=True)(state.head, features)
            (value, told), (in_head, in_features) = of_head
            found = trained.backward(program, state.rows, passed, in_features, room=room)
            params = {"rows": state.rows, "head": state.head}
            updates, after = descent.update({"rows": found.weights, "head": in_head}, state.optimiser, params)
            params = optax.apply_updates(params, updates)
            state = State(params["rows"], params["head"], passed.statistics, after)
            maps, in_maps = ({name: each[name] for name in room.buffers} for each in (passed.buffers, found.buffers))
            room = Room(maps, passed.kept, in_maps, found.weights)
            return state, losses.at[i].set(value), correct + told, room

        steps = jnp.where(program.features > 0, len(rows), 0)
        room = room._replace(weights=jax.tree.map(jnp.zeros_like, room.weights))
        start = state, jnp.zeros(len(rows), jnp.float32), jnp.float32(0), room
        state, losses, correct, room = lax.fori_loop(0, steps, step, start)
        return state, room, (losses, correct)

    def measure(
        program: Program,
        state: State,
        room: Room,
        images: Float[Array, "n height width channels"],
        labels: Int[Array, " n"],
    ) -> tuple[Room, tuple[Float[Array, ""], Int[Array, ""]]]:
        size = recipe.batch_size

        def step(b: Array, carry: tuple[Array, Array, Room]) -> tuple[Array, Array, Room]:
            loss, correct, room = carry
            chosen = b * size + jnp.arange(size)
            counts, chosen = chosen < len(labels), jnp.minimum(chosen, len(labels) - 1)
            passed = measured.forward(program, state.rows, images[chosen], statistics=state.statistics, room=room)
            logits = passed.buffers["features"][0] @ state.head["kernel"] + state.head["bias"]
            told = labels[chosen]
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, told)
            right = counts & (logits.argmax(-1) == told)
            room = room._replace(buffers={name: passed.buffers[name] for name in room.buffers})
            return loss + jnp.where(counts, losses, 0).sum(), correct + right.sum(dtype=jnp.int32), room

        steps = jnp.where(program.features > 0, -(-len(labels) // size), 0)
        loss, correct, room = lax.fori_loop(0, steps, step, (jnp.float32(0), jnp.int32(0), room))
        return room, (loss, correct)

    def room() -> Room:
        return trained.room(jnp.zeros((recipe.batch_size, *network.buffers["images"]), jnp.float32))

    return CompiledStep(
        _split(mesh, room, 0, 0),
        _split(mesh, epoch, 3, 4, donate_argnums=(1, 2)),
        _split(mesh, measure, 3, 2, donate_argnums=2),
    )


def _split(mesh: Mesh, function: Callable[..., Any], own: int, shared: int, **options: Any) -> Any:
    """Each device has so many arguments of its own, and the rest is shared."""

    def of_device(*arguments: Any) -> Any:
        mine = jax.tree.map(lambda table: table[0], arguments[:own])
        with jax.default_matmul_precision("float32"), in_training():
            return jax.tree.map(lambda x: x[None], function(*mine, *arguments[own:]))

    in_specs = *[EACH] * own, *[ALL] * shared
    return jax.jit(jax.shard_map(of_device, mesh=mesh, in_specs=in_specs, out_specs=EACH, check_vma=False), **options)
