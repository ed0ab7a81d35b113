"""Arrays that lie on the devices of one host or several, and what the hosts tell each other.

Hosts are JAX's processes. All of them call the same functions in the same order; what they must agree on beyond that
goes through `every_host`. With one host, nothing here costs anything.
"""

import time
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

_PAGE = 4096  # bytes, so that texts of about one length need one compilation


def by_host(devices: Iterable[jax.Device]) -> list[list[jax.Device]]:
    """The devices of each host."""
    hosts: dict[int, list[jax.Device]] = {}
    for device in devices:
        hosts.setdefault(device.process_index, []).append(device)
    return list(hosts.values())


def spread(x: Shaped[np.ndarray, "..."], mesh: Mesh, spec: PartitionSpec) -> Array:
    """Put an array that every host has on the devices of a mesh, on each its own part.

    Args:
        x: the array.
        mesh: the devices, of one or several hosts.
        spec: along which axes it is split; where it names none, each device gets a copy.
    """
    return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), lambda part: x[part])


def gathered(x: Array) -> Shaped[np.ndarray, "..."]:
    """The whole of an array whose parts lie on the devices of one or several hosts; all of them must call this.

    It waits in short sleeps, so that Ctrl-C is answered at once.

    Args:
        x: the array, split over devices or copied to each.
    """
    _wait(x)
    if x.is_fully_addressable:
        return np.asarray(x)
    assert isinstance(x.sharding, NamedSharding)
    return _copied(x, x.sharding.mesh)


def every_host(value: Any) -> Shaped[np.ndarray, "hosts ..."]:
    """A small value of every host, on every host, in their order.

    Args:
        value: a number or an array, of 32 bits or fewer, of one shape and type on all hosts.
    """
    mine = np.asarray(value, getattr(value, "dtype", np.int32))[None]
    if jax.process_count() == 1:
        return mine
    mesh = Mesh(np.array([devices[0] for devices in by_host(jax.devices())]), ("hosts",))
    sharding = NamedSharding(mesh, PartitionSpec("hosts"))
    return _copied(jax.make_array_from_process_local_data(sharding, mine), mesh)


def meet(mesh: Mesh) -> None:
    """Open the ways between the devices of a mesh, where they are those of several hosts; all of them must call this.

    The first exchange of a set of CPUs fails if one of them is 30 seconds late, and compilations take longer than that.

    Args:
        mesh: the devices that are going to exchange data.
    """
    if len(by_host(mesh.devices.flat)) > 1:
        every_host(0)  # waits for as long as it takes
        gathered(spread(np.zeros(mesh.size, np.float32), mesh, PartitionSpec(mesh.axis_names)))


def text_of_first_host(text: str) -> str:
    """What the first host has given, on every host."""
    if jax.process_count() == 1:
        return text
    given = np.frombuffer(text.encode(), np.uint8)
    length = int(every_host(len(given))[0])
    padded = np.zeros(-(-length // _PAGE) * _PAGE, np.uint8)
    if jax.process_index() == 0:
        padded[:length] = given
    return every_host(padded)[0, :length].tobytes().decode()


def _copied(x: Array, mesh: Mesh | AbstractMesh) -> Shaped[np.ndarray, "..."]:
    copy = jax.jit(_same, out_shardings=NamedSharding(mesh, PartitionSpec()))(x)
    _wait(copy)
    return np.asarray(copy)


def _wait(x: Array) -> None:
    parts = [shard.data for shard in x.addressable_shards]
    while parts:
        for part in parts:
            # If a host is lost, one device may learn of it and the others wait on, so that each is asked by itself.
            if part.is_ready():
                part.block_until_ready()
        parts = [part for part in parts if not part.is_ready()]
        time.sleep(0.005 * bool(parts))


def _same(x: Array) -> Array:
    return x
