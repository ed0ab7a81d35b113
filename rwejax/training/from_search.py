"""From a search to the training of one network that it has found."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwejax.searching.images import load_searched
from rwejax.searching.records import Run
from rwejax.searching.result import pick, read_result
from rwejax.storage.meta import read_meta
from rwejax.storage.yaml_config import read_stored
from rwejax.training.config import TrainConfig


def from_search(run_dir: str | Path, rule: str = "knee") -> tuple[TrainConfig, dict[str, Any]]:
    """The training of one network of a search's front, of its size and on the images of its dataset.

    Args:
        run_dir: the run folder of the search, which may still be at work.
        rule: see `rwejax.pick`.

    Returns:
        The config, and where the network comes from: the run, the rule, and what the search has measured of it.

    Raises:
        InputError: the folder holds no search, or the rule finds no network.
    """
    result = read_result(run_dir)
    row = pick(result, rule)
    config, found, error = result.config, result.evaluations[row], float(result.outcome.error[row])
    sizes: dict[str, Any] = config.sizes
    training = TrainConfig(
        space=config.space,
        architecture=found.architecture,
        **sizes,
        dataset=config.dataset,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )
    return training, {
        "run": str(Path(run_dir).absolute()),
        "pick": rule,
        "objectives": {**({} if math.isnan(error) else {"trained_error": error}), **found.scores, "macs": found.macs},
    }


def check_origin(config: TrainConfig, origin: Mapping[str, Any]) -> None:
    """Refuse to train on the dataset of a search whose images have changed since.

    Args:
        config: the training.
        origin: what `from_search` has returned; where it names no run, or the training looks at other images, there is
            nothing to compare.

    Raises:
        InputError: the images have changed, and what of them; or they cannot be loaded.
    """
    run_dir = Path(origin.get("run", ""))
    if not (run_dir / "config.yaml").is_file():
        return
    search, meta = read_stored(run_dir, Run.defaults), read_meta(run_dir)
    if "fingerprint" in meta and (search.dataset, search.data_dir) == (config.dataset, config.data_dir):
        load_searched(search, meta)
