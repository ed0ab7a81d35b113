"""WHERE ELSE numbers go: observers that send those of a search or a training to TensorBoard or Weights & Biases."""

import importlib
from typing import TYPE_CHECKING

from rwejax.errors import InputError

if TYPE_CHECKING:
    from rwejax.tracking.observer import TrackingObserver

TRACKERS = {"tensorboard": "TensorBoardObserver", "wandb": "WandbObserver"}
"""The names for `--log`, each a module of `rwejax.tracking`, and the class there."""


def make_observers(names: str) -> list["TrackingObserver"]:
    """The observers of a comma list, such as tensorboard,wandb; none for an empty one.

    Args:
        names: some of `TRACKERS`.

    Raises:
        InputError: a name is none of them, or comes twice, or its package is missing.
    """
    chosen = names.split(",") if names else []
    for name in chosen:
        if name not in TRACKERS:
            raise InputError(f"log {name!r} is unknown: choose from {', '.join(TRACKERS)}")
    if len(set(chosen)) < len(chosen):
        raise InputError(f"log {names!r} names one twice: give each once")
    return [getattr(importlib.import_module(f"rwejax.tracking.{name}"), TRACKERS[name])() for name in chosen]
