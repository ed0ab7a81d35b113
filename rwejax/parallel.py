"""How JAX is set up: one XLA device a core, and compiled programs that outlive the process."""

import os

import jax

from rwejax import caches


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


def keep_compilations() -> None:
    """Keep compiled programs in the user's cache, so that another process need not compile them again.

    For commands, not for libraries: JAX has one such folder a process. Whoever has chosen one already keeps it.
    """
    folder = caches.folder("compilations")
    if folder is not None and jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
