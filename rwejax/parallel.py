"""One XLA device a core."""

import os

import jax


def use_all_cores() -> None:
    """Make JAX see each core of a CPU as a device of its own; call it before anything else touches JAX.

    XLA runs the small convolutions of a search on one thread, so that a batch of images is best split over one device
    a core: on two cores this halves the time of an evaluation. A count that the user has set is left alone, as are
    accelerators, which stay the default where there are any.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    if jax.config.jax_num_cpu_devices == -1:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jax.config.update("jax_num_cpu_devices", cores)
