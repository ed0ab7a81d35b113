"""From a search to the training of one network that it has found."""

from pathlib import Path
from typing import Any

from rwejax.results import pick, read_result
from rwejax.training.config import TrainConfig


def from_search(run_dir: str | Path, rule: str = "knee") -> TrainConfig:
    """The training of one network of a search's front, of its size and on the images of its dataset.

    Args:
        run_dir: the run folder of the search, which may still be at work.
        rule: see `rwejax.pick`.

    Raises:
        InputError: the folder holds no search, or the rule finds no network.
    """
    result = read_result(run_dir)
    config = result.config
    sizes: dict[str, Any] = config.sizes
    return TrainConfig(
        space=config.space,
        architecture=result.evaluations[pick(result, rule)].architecture,
        **sizes,
        dataset=config.dataset,
        data_dir=config.data_dir,
        image_size=config.image_size,
        seed=config.seed,
    )
