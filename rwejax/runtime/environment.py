"""What meta.json of a run folder says of the machine and the time."""

import platform
import warnings
from collections.abc import Mapping
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


def resumed(meta: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What meta.json says after a resume; warns where rwejax or JAX are not those that the run has had so far.

    Args:
        meta: what it says now; nothing of a run that was killed before it was written.
        seed: of the run.
    """
    here = describe_machine(seed)
    known = {**here, **meta}
    before = (known.get("resume_versions") or [known["versions"]])[-1]
    mine = {name: here["versions"][name] for name in ("rwejax", "jax")}
    differing = [
        f"{name} {before.get(name)} and is resumed under {version}"
        for name, version in mine.items()
        if before.get(name) != version
    ]
    if differing:
        warnings.warn(f"the run was at work under {', '.join(differing)}: bits may differ", stacklevel=3)
        known["resume_versions"] = [*known.get("resume_versions", []), {"time": now(), **mine}]
    return {**known, "resume_times": [*known.get("resume_times", []), now()]}


def now() -> str:
    """The time as text."""
    return datetime.now(UTC).isoformat(timespec="seconds")
