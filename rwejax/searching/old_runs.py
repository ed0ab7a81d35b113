"""What a half-finished search of an older run format needs, so that its later scores compare with its earlier ones."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rwejax.errors import InputError
from rwejax.objectives import FORWARD_SCORES
from rwejax.searching.config import SearchConfig

_BATCH = 400  # images that fit_path and rwf looked at, whatever calibration_images said
_JOINT = 3  # the first format of a run whose forward scores come from one pass


def of_format(config: SearchConfig, meta: Mapping[str, Any]) -> SearchConfig:
    """The config of a search that gives, from here on, what it gave before.

    Args:
        config: as the run folder has it.
        meta: what its meta.json says.

    Raises:
        InputError: no config does, since the scores have changed.
    """
    if not meta or meta.get("format", 1) >= _JOINT or config.estimators == ("rwe",):
        return config
    looks = [name for name in config.estimators if name in FORWARD_SCORES]
    changed = [name for name in looks if name in ("nwot", "rwe_softmax") or (name == "rwe" and len(looks) > 1)]
    if changed:
        raise InputError(
            f"the search was begun by an older rwejax, whose {changed[0]} had other weights or other images: its "
            "scores do not compare with those of this version, so start a new search"
        )
    return dataclasses.replace(config, calibration_images=_BATCH) if looks else config
