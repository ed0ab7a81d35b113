"""XLA's own compilers for accelerators that this machine does not have; nothing that they make is run here."""

import importlib.util
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rwejax.errors import InputError
from rwejax.runtime.device_kinds import DeviceKind

_H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  device_memory_size: 84978434048 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 patch: 0 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


@dataclass(frozen=True)
class Target:
    """A device that is not here.

    Attributes:
        kind: what rwejax chooses its sizes for.
        package: the module that has the compiler.
        install: what to do where that is missing.
        versions: packages that say which compiler it was.
        clock: cycles a second, where the compiler estimates cycles.
    """

    kind: DeviceKind
    package: str
    install: str
    versions: tuple[str, ...]
    clock: float | None = None


TARGETS = {
    # JAX takes three quarters of a GPU's memory unless it is told otherwise.
    "cuda": Target(
        DeviceKind("gpu", "NVIDIA H100 80GB HBM3", 84978434048 * 3 // 4),
        "jax_cuda12_plugin",
        "pip install 'rwejax[cuda12]', which needs no GPU",
        ("jaxlib", "jax-cuda12-plugin", "nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-cuda-nvcc-cu12"),
    ),
    # The compiler itself says 15.75G. Four units of 128 x 128 make the published 197 TFLOP/s at 1.5 GHz.
    "tpu": Target(
        DeviceKind("tpu", "TPU v5 lite", 63 * 2**28),
        "libtpu",
        "pip install libtpu beside a CPU build of jax, which needs no TPU",
        ("jaxlib", "libtpu"),
        clock=1.5e9,
    ),
}


def check_compiler(platform: str) -> Target:
    """The target of a platform whose compiler is installed.

    Raises:
        InputError: it is not.
    """
    target = TARGETS[platform]
    if importlib.util.find_spec(target.package) is None:
        raise InputError(
            f"platform {platform!r} has no compiler here, for {target.package} is missing: {target.install}"
        )
    return target


def compiler_versions(platform: str) -> dict[str, str]:
    """The versions of a platform's packages, as far as they are installed."""
    found = {}
    for package in TARGETS[platform].versions:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def compile_exported(exported: jax.export.Exported, platform: str, donated: tuple[int, ...] = ()) -> Any:
    """Compile for one device of a platform what was lowered for it.

    Args:
        exported: the lowering.
        platform: one of `TARGETS`.
        donated: arguments that the function may write over.

    Returns:
        What `jax.jit(function).lower(...).compile()` returns.

    Raises:
        jax.errors.JaxRuntimeError: the compiler refuses, for instance since a TPU has too little memory.
        InputError: the compiler does not start, for instance since another process uses the one for TPUs.
    """
    try:
        device = _devices(platform)[0]
    except jax.errors.JaxRuntimeError as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"the compiler for {platform} does not start, perhaps as another process uses it: {said}"
        ) from error
    whole = NamedSharding(Mesh(np.array([device]), ("one",)), PartitionSpec())
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype, sharding=whole) for each in exported.in_avals]
    arguments, _ = jax.tree.unflatten(exported.in_tree, shapes)
    return jax.jit(exported.call, donate_argnums=donated).lower(*arguments).compile()


def _devices(platform: str) -> Any:
    if platform == "cuda":
        return topologies.get_topology_desc("1x1x1", "cuda", target_config=_H100, topology="1x1x1").devices
    # Which a machine with a TPU would be asked for.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    return topologies.get_topology_desc("v5e:1x1x1", "tpu", chips_per_host_bounds=(1, 1, 1)).devices
