"""From run folders and architectures to drawings on disk."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from rwejax.drawing.picture import make_picture
from rwejax.errors import InputError
from rwejax.searching.records import Run
from rwejax.spaces import Space
from rwejax.storage.atomic import replacing
from rwejax.storage.meta import read_meta
from rwejax.storage.output import free_output, writing
from rwejax.storage.yaml_config import read_stored
from rwejax.training.config import TrainConfig
from rwejax.training.from_search import from_search
from rwejax.training.loop import choose


def draw_run(run_dir: str | Path, rule: str = "knee", output: Path | None = None) -> Path:
    """Draw the network of a training, or one of a search's front; no images are read.

    Args:
        run_dir: the run folder, which may still be at work.
        rule: which network of a search's front; see `rwejax.pick`.
        output: SVG file, missing; None: runs/draw-SPACE.svg, with a number where that exists.

    Returns:
        The file.

    Raises:
        InputError: the folder holds neither, or the rule finds no network, or the file exists or cannot be written.
    """
    run_dir = Path(run_dir)
    searched = (run_dir / Run.lines).exists()
    config = from_search(run_dir, rule)[0] if searched else read_stored(run_dir, TrainConfig())
    meta = read_meta(run_dir)
    if "image_shape" not in meta or "classes" not in meta:
        raise InputError(
            f"meta.json in run folder {str(run_dir)!r} does not describe the images: resume the run, which mends that"
        )
    height, width, channels = meta["image_shape"]
    return draw(*choose(config, (height, width, channels), meta["classes"]), output)


def draw_architecture(
    config: TrainConfig, image_shape: tuple[int, int, int], classes: int, output: Path | None = None
) -> Path:
    """Draw the network of a text.

    Args:
        config: has a space, an architecture and sizes.
        image_shape: height, width and channels of an image.
        classes: number of classes.
        output: as for `draw_run`.

    Returns:
        The file.

    Raises:
        InputError: the architecture is none of the space, or the file exists or cannot be written.
    """
    if not config.architecture:
        raise InputError("no network is named: give the run folder of a search or a training, or --architecture")
    return draw(*choose(config, image_shape, classes), output)


def draw(space: Space, genome: Int[np.ndarray, " genes"], output: Path | None = None) -> Path:
    """Draw the network of a genome.

    Args:
        space: the space.
        genome: one genome of it.
        output: as for `draw_run`.

    Returns:
        The file.

    Raises:
        InputError: the extra draw is not installed, no path leads through the network, or the file exists or cannot be
            written.
    """
    path = free_output(output, f"draw-{space.name}", lambda path: [path], ".svg")
    picture = make_picture(space, genome)
    if picture is None:
        raise InputError("a drawing needs fast-sugiyama, which is not installed: pip install 'rwejax[draw]'")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, "wb") as file:
            file.write(picture)
    return path
