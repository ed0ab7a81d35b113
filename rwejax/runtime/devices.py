"""How JAX is set up: one XLA device a core, compiled programs that outlive the process, and several hosts."""

import functools
import os
import warnings

import jax

from rwejax.runtime import cache_dir
from rwejax.runtime.collectives import every_host

BIND_ADDRESS = "JAX_COORDINATOR_BIND_ADDRESS"
"""Environment variable that says what host 0 listens on, where that is not the coordinator's address."""

_LONG_VECTORS = (
    "--xla_cpu_prefer_vector_width=512",
    "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling",
)


def use_all_cores() -> None:
    """Make JAX use a CPU to the full: each core a device of its own, and the longest vectors.

    Call it before JAX starts, that is before the first array is made; once JAX has started, it is without effect, and
    warns if that leaves cores idle. Whatever the user has chosen by `jax_num_cpu_devices` or `XLA_FLAGS` stays. The
    command line does this for itself; a library must leave it to its user, for both settings are those of the whole
    process.

    XLA runs the small convolutions of a search on one thread, so that a batch of images is best split over one device
    a core: on two cores this halves the time of an evaluation. LLVM takes half of a processor's longest vectors unless
    it is asked, and unrolls a short loop, such as that over the channels of a feature map, before it could make vectors
    of it. The decompositions of a head are OpenBLAS's, which takes all cores for each: those of several devices then
    wait for each other, and a search of the digits takes twice as long. So it is told to take one, unless the
    environment says how many, or scipy.linalg is there already. Accelerators stay JAX's default where there are any.

    Examples:
        >>> import rwejax
        >>> rwejax.use_all_cores()
    """
    if not _set_up_cores() and _idle_cores():
        warnings.warn(
            f"use_all_cores() came after JAX had started and has no effect: rwejax uses {jax.local_device_count()} of "
            f"{cores()} cores",
            stacklevel=2,
        )


def _set_up_cores() -> bool:
    """Whether that came in time."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    flags += [flag for flag in _LONG_VECTORS if not any(each.startswith(flag.split("=")[0]) for each in flags)]
    os.environ["XLA_FLAGS"] = " ".join(flags)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not _count_is_chosen():
        try:
            jax.config.update("jax_num_cpu_devices", cores())
        except RuntimeError:  # JAX has started: its devices are what they are
            return False
    return True


def _count_is_chosen() -> bool:
    """Whether somebody has said how many devices a CPU is."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    return any(flag.startswith("--xla_force_host_platform_device_count") for flag in flags) or (
        jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]
    )


def _idle_cores() -> bool:
    """Whether JAX, once started, leaves cores of a CPU idle that nobody has told it to."""
    return jax.default_backend() == "cpu" and jax.local_device_count() < cores() and not _count_is_chosen()


def default_devices() -> list[jax.Device]:
    """All of JAX's devices; warns, once a process, where they leave cores of a CPU idle."""
    _advise()
    return jax.devices()


@functools.cache
def _advise() -> None:
    if _idle_cores():
        warnings.warn(
            f"rwejax uses {jax.local_device_count()} of {cores()} cores: call rwejax.use_all_cores() before other JAX "
            "work",
            stacklevel=4,  # who makes an evaluator
        )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of this machine's memory; 8 GiB where the system does not say, as on Windows."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33


def set_up_process() -> None:
    """What a command does before any work: all cores, and compiled programs that outlive the process."""
    _set_up_cores()
    keep_compilations()


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
        coordinator,
        hosts,
        host,
        cluster_detection_method=detection,
        initialization_timeout=timeout,
        coordinator_bind_address=None if coordinator is None else bind_address(coordinator),
    )
    every_host(0)


def bind_address(coordinator: str) -> str:
    """What host 0 listens on: the coordinator's address alone, where JAX would take all interfaces of the machine.

    Args:
        coordinator: address of host 0 and a port. Behind a translated address, JAX's environment variable
            JAX_COORDINATOR_BIND_ADDRESS says what it stands for.
    """
    return os.environ.get(BIND_ADDRESS, coordinator)


def follows() -> bool:
    """Whether another host leads. JAX is not started to find that out."""
    return jax.distributed.is_initialized() and jax.process_index() > 0
