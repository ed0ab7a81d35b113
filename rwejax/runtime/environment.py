"""What meta.json of a run folder says of the machine and the time."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax

from rwejax.version import __version__

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "evosax")


def describe_machine(seed: int) -> dict[str, Any]:
    """Versions, devices, the seed, and that it starts now."""
    device = jax.devices()[0]
    return {
        "versions": {"rwejax": __version__, **{name: version(name) for name in _PACKAGES}},
        "python": platform.python_version(),
        "system": platform.platform(),
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "hosts": jax.process_count(),
        "seed": seed,
        "start_time": now(),
    }


def now() -> str:
    """The time as text."""
    return datetime.now(UTC).isoformat(timespec="seconds")
