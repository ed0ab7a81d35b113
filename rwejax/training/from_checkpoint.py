"""A training's result from its run folder alone: no images are loaded, and nothing in the folder changes."""

from pathlib import Path

import jax
import numpy as np

from rwejax import networks
from rwejax.errors import InputError
from rwejax.evaluate.population.recipe import optimiser
from rwejax.storage.checkpoints import read_newest
from rwejax.storage.files import CHECKPOINTS, newest_checkpoint
from rwejax.storage.meta import read_meta
from rwejax.storage.yaml_config import read_stored
from rwejax.training.config import TrainConfig
from rwejax.training.loop import choose
from rwejax.training.records import read_epochs, read_test
from rwejax.training.result import TrainResult
from rwejax.training.step import from_arrays, state_shapes, to_arrays


def read_result(run_dir: str | Path) -> TrainResult:
    """What a training has made so far, from its run folder, which may still be at work.

    Args:
        run_dir: the run folder.

    Returns:
        The network as it is in the newest checkpoint, and what was measured until then; `test` is None if the training
        is not finished.

    Raises:
        InputError: the folder holds no training, or no finished epoch, or is broken.
    """
    run_dir = Path(run_dir)
    config, meta = read_stored(run_dir, TrainConfig()), read_meta(run_dir)
    try:
        height, width, channels = meta["image_shape"]
        shape, classes = (height, width, channels), meta["classes"]
    except KeyError as error:
        raise InputError(
            f"meta.json in run folder {str(run_dir)!r} does not describe the images: resume the run, which mends that"
        ) from error
    epochs, test = read_epochs(run_dir), read_test(run_dir)
    if (newest_checkpoint(run_dir / CHECKPOINTS) or 0) > config.epochs:
        raise InputError(
            f"run folder {str(run_dir)!r} has a checkpoint beyond its {config.epochs} epochs: restore the missing files"
        )
    space, genome = choose(config, shape, classes)
    network = networks.build(space, genome, auxiliary=config.auxiliary > 0)
    template = state_shapes(network, shape, optimiser(config, 1))
    # A run at work writes an epoch's line before its checkpoint: read this way round, no line can be missing.
    found = read_newest(run_dir / CHECKPOINTS, to_arrays(template))
    epochs, test = read_epochs(run_dir), read_test(run_dir)
    if found is None:
        raise InputError(
            f"run folder {str(run_dir)!r} holds no checkpoint, hence no weights: wait for one, or resume it"
        )
    epoch, arrays = found
    if epoch > len(epochs):
        raise InputError(
            f"run folder {str(run_dir)!r} has {len(epochs)} lines of metrics and a checkpoint of epoch {epoch}, which "
            "do not fit: restore the missing files"
        )
    state = from_arrays(template, arrays)
    variables = jax.tree.map(np.asarray, {"params": state.params, "batch_stats": state.batch_stats})
    return TrainResult(network, variables, space, genome, tuple(epochs[:epoch]), test, run_dir, config)
