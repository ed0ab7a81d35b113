"""From a search to the training of one network that it has found."""

from pathlib import Path
from typing import Any

from rwejax.searching.result import pick, read_result
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
    config, found = result.config, result.evaluations[pick(result, rule)]
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
        "objectives": {**found.scores, "macs": found.macs},
    }
