"""The functions of a pass that are compiled: programs, images and kernels to scores, and to features.

They hold nothing of a dataset and no maps, so that all passes of a process that are set alike share them, and only the
first of these compiles.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from rwejax import networks
from rwejax.evaluate.heads import ForwardScore, make_heads
from rwejax.evaluate.images import SPLIT, Images
from rwejax.networks import IMAGES_AXIS, Network, Program
from rwejax.runtime.kept import kept

_KEPT = 8  # of each function: passes of as many settings


class Setting(NamedTuple):
    """What a pass is compiled for, beside the shapes of what it is called with.

    Attributes:
        network: the groups, with features of all pools.
        scores: what is to be known of each network.
        pools: by pool how many features a network has.
        mesh: the devices over which the images are split.
        capacity: genomes of a program, which the devices divide.
        chunk_sizes: rows computed at once, descending.
        heads_at_once: networks of a device whose heads are fitted at once.
        codes_at_once: codes of ReLUs that are compared at once.
        dtype: of feature maps and kernels, by name.
        products: precision of matrix products in the networks, by JAX's name.
        seeds: initialisations.
        calibration: number of calibration images.
        train: number of train images among the images seen.
        classes: number of classes.
        batches: whether images beside the first ones come in batches.
    """

    network: Network
    scores: tuple[ForwardScore, ...]
    pools: tuple[tuple[int, int], ...]
    mesh: Mesh
    capacity: int
    chunk_sizes: tuple[int, ...]
    heads_at_once: int
    codes_at_once: int
    dtype: str
    products: str
    seeds: int
    calibration: int
    train: int
    classes: int
    batches: bool


class CompiledPass(NamedTuple):
    """What is called. The maps are donated, and come back.

    Attributes:
        evaluate: of a program, `Images`, the kernels and keys of all seeds, and maps, to values by name, a row a seed,
            and the maps.
        features: of a program, `Images`, kernels, and maps, to the features of all rows, image by image in the order in
            which devices have them, and the maps.
        allocate: of the shapes of all maps, as a tuple, to maps of zeros.
    """

    evaluate: Any
    features: Any
    allocate: Any


@kept(_KEPT)
def initialiser(network: Network, three_keys: bool) -> Any:
    """The compiled function from keys, one a seed, to kernels, and words of a key for what heads draw.

    Args:
        network: the groups.
        three_keys: see `ForwardPass`.
    """
    # LLVM takes ten seconds to optimise these many small random draws, which run once a search.
    return jax.jit(
        jax.vmap(partial(_draw, network, three_keys)), compiler_options={"xla_backend_optimization_level": 1}
    )


def _draw(network: Network, three_keys: bool, key: jax.Array) -> tuple[Any, Array]:
    key_kernels, key_heads, _ = jax.random.split(key, 3)
    return networks.initialise(network, key_kernels if three_keys else key), jax.random.key_data(key_heads)


def _map_specs(network: Network, batches: bool) -> tuple[dict[str, PartitionSpec], dict[str, PartitionSpec]]:
    """How the maps of the first images, and those of a batch of others, are split over the devices: by images.

    Args:
        network: the groups and buffers.
        batches: whether there are others.
    """
    rows = {name: PartitionSpec(None, IMAGES_AXIS) for name in network.buffers if name not in ("images", "codes")}
    codes = {"codes": PartitionSpec(None, None, IMAGES_AXIS)} if "codes" in network.buffers else {}
    return rows | codes, rows if batches else {}


@kept(_KEPT)
def compile_pass(setting: Setting) -> CompiledPass:
    """The functions of a setting, which are compiled when they are first called.

    Args:
        setting: what they are compiled for.
    """
    network, devices = setting.network, setting.mesh.size
    run = networks.make_features(
        network, setting.capacity, setting.chunk_sizes, jnp.dtype(setting.dtype), setting.calibration // devices
    )
    score = make_heads(
        setting.scores,
        network,
        dict(setting.pools),
        calibration=setting.calibration,
        train=setting.train,
        classes=setting.classes,
        codes_at_once=setting.codes_at_once,
    )
    share, together = setting.capacity // devices, setting.heads_at_once
    nothing = {name: jnp.float32(0) for each in setting.scores for name in each.worst} | {"failed": jnp.float32(0)}

    def features(program: Program, images: Images, kernels: Any, maps: Any) -> tuple[Array, Any]:
        with jax.default_matmul_precision(setting.products):
            return run(program, images.first, images.batches, first_draw(kernels), maps)

    def draw(program: Program, images: Images, kernels: Any, key: Array, maps: Any) -> tuple[Any, Any]:
        with jax.default_matmul_precision(setting.products):
            x, maps = run(program, images.first, images.batches, kernels, maps)
        # From a share of the images of every network to all images of a share of the networks.
        x = lax.all_to_all(x, IMAGES_AXIS, 0, 1, tiled=True)[:, images.places]
        codes = maps[0].get("codes")
        codes = None if codes is None else lax.all_gather(codes, IMAGES_AXIS, axis=2, tiled=True)
        begin = lax.axis_index(IMAGES_AXIS) * share
        mine = jnp.clip(program.features - begin, 0, share)

        def one(row: Array, values: dict[str, Array]) -> dict[str, Array]:
            seen = program.codes, x[row], codes, begin + row, images.labels, key
            with jax.default_matmul_precision("float32"):
                # Whatever the capacity, a head is compiled alike: nothing around it is fused into a conditional.
                new = lax.cond(row < mine, score, lambda *_: nothing, *seen)
            return {name: values[name].at[row].set(value) for name, value in new.items()}

        def several(group: Array, values: dict[str, Array]) -> dict[str, Array]:
            # The last ones may be beyond the networks that are there, whose values nobody reads, or the last again.
            rows = jnp.minimum(group * together + jnp.arange(together), share - 1)
            with jax.default_matmul_precision("float32"):
                heads = jax.vmap(lambda row: score(program.codes, x[row], codes, begin + row, images.labels, key))
                new = heads(rows)
            return {name: values[name].at[rows].set(value) for name, value in new.items()}

        none = {name: jnp.zeros(share, jnp.float32) for name in nothing}
        with jax.named_scope("heads"):
            if together == 1:
                return lax.fori_loop(0, mine, one, none), maps
            return lax.fori_loop(0, -(-mine // together), several, none), maps

    def evaluate(program: Program, images: Images, kernels: Any, keys: Array, maps: Any) -> tuple[Any, Any]:
        if setting.seeds == 1:
            values, maps = draw(program, images, first_draw(kernels), keys[0], maps)
            return jax.tree.map(lambda value: value[None], values), maps

        def step(maps: Any, drawn: tuple[Any, Array]) -> tuple[Any, Any]:
            values, maps = draw(program, images, *drawn, maps)
            return maps, values

        maps, values = lax.scan(step, maps, (kernels, keys))
        return values, maps

    specs = _map_specs(network, setting.batches)

    def allocate(shapes: tuple[jax.ShapeDtypeStruct, ...]) -> Any:
        return jax.tree.unflatten(jax.tree.structure(specs), [jnp.zeros(each.shape, each.dtype) for each in shapes])

    return CompiledPass(
        _split(setting, evaluate, 5),
        _split(setting, features, 4),
        # All in one: to compile one for each takes a second.
        jax.jit(
            allocate,
            static_argnums=0,
            out_shardings=jax.tree.map(lambda spec: NamedSharding(setting.mesh, spec), specs),
        ),
    )


def _split(setting: Setting, function: Callable[..., Any], arguments: int) -> Any:
    """Split the images over the devices, and give them all of the program and the kernels."""
    maps = _map_specs(setting.network, setting.batches)
    in_specs = PartitionSpec(), SPLIT, *[PartitionSpec()] * (arguments - 3), maps
    out_specs = PartitionSpec(None, IMAGES_AXIS), maps
    split = jax.shard_map(function, mesh=setting.mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
    return jax.jit(split, donate_argnames="maps")


def first_draw(drawn: Any) -> Any:
    """What the first seed has drawn.

    Args:
        drawn: kernels of all seeds.
    """
    return jax.tree.map(lambda x: x[0], drawn)
