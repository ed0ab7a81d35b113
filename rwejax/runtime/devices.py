"""How JAX is set up: one XLA device a core, compiled programs that outlive the process, and several hosts."""

import os

import jax

from rwejax.runtime import cache_dir
from rwejax.runtime.collectives import every_host

_LONG_VECTORS = (
    "--xla_cpu_prefer_vector_width=512",
    "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling",
)


def use_all_cores() -> None:
    """Make JAX see each core of a CPU as a device of its own, unless the user has chosen or JAX has already started.

    XLA runs the small convolutions of a search on one thread, so that a batch of images is best split over one device
    a core: on two cores this halves the time of an evaluation. Accelerators stay JAX's default where there are any.
    """
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or jax.config.jax_num_cpu_devices != -1:  # type: ignore[attr-defined]
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        return  # JAX has started: its devices are what they are


def use_long_vectors() -> None:
    """Make XLA use a CPU's vectors to the full, unless the user has chosen; once JAX has started, it is without effect.

    LLVM takes half of a processor's longest vectors unless it is asked, and unrolls a short loop, such as that over the
    channels of a feature map, before it could make vectors of it.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    flags += [flag for flag in _LONG_VECTORS if not any(each.startswith(flag.split("=")[0]) for each in flags)]
    os.environ["XLA_FLAGS"] = " ".join(flags)


def keep_compilations() -> None:
    """Keep compiled programs in the user's cache, so that another process need not compile them again.

    For commands, not for libraries: JAX has one such folder a process. Whoever has chosen one already keeps it.
    """
    folder = cache_dir.folder("compilations")
    if folder is not None and jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def connect(
    coordinator: str | None = None, hosts: int | None = None, host: int | None = None, timeout: int = 300
) -> None:
    """Connect this host with others, before any other use of JAX; from then on, its devices are those of all of them.

    Args:
        coordinator: address of host 0 and a free port there; None, as `hosts` and `host` then are: what Slurm, MPI or
            the TPU pod says.
        hosts: the number of hosts.
        host: the number of this one, from 0.
        timeout: seconds to wait for the others.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM for itself
    detection = None if coordinator is None else "deactivate"
    jax.distributed.initialize(
        coordinator, hosts, host, cluster_detection_method=detection, initialization_timeout=timeout
    )
    every_host(0)


def follows() -> bool:
    """Whether another host leads. JAX is not started to find that out."""
    return jax.distributed.is_initialized() and jax.process_index() > 0
