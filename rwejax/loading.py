"""Results from what is on disk. Nothing is written, locked or executed there, so that a run may be at work."""

from pathlib import Path
from typing import TYPE_CHECKING

from rwejax.errors import InputError
from rwejax.searching.records import Run
from rwejax.storage.yaml_config import read_unchecked
from rwejax.training.records import Training

if TYPE_CHECKING:
    from rwejax.correlating.result import CorrelateResult
    from rwejax.searching.result import SearchResult
    from rwejax.training.result import TrainResult


def load(path: str | Path) -> "SearchResult | TrainResult | CorrelateResult":
    """What a command has found so far, from its files.

    Args:
        path: run folder of a search or a training, or the table of a correlation, a CSV file.

    Returns:
        What `rwejax.search`, `rwejax.train` or `rwejax.correlate` returned. Of a search that is not finished, what is
        on disk; of such a training, the weights of its newest checkpoint, and `test` is None.

    Raises:
        InputError: the path is none of these, or broken, or a training without a finished epoch.

    Examples:
        >>> import tempfile
        >>> from rwejax import SearchConfig, load, search
        >>> config = SearchConfig(nodes=2, channels=4, train_images=100, validation_images=50, population_size=4,
        ...                       generations=1, run_dir=tempfile.mkdtemp(), estimator="rwe", training_minutes=0)
        >>> run_dir = search(config).run_dir
        >>> load(run_dir).objectives.shape
        (4, 2)
    """
    path = Path(path)
    if path.is_file():
        from rwejax.correlating import from_table

        return from_table.read_result(path)
    if kind_of(path) is Run:
        from rwejax.searching import result

        return result.read_result(path)
    from rwejax.training import from_checkpoint

    return from_checkpoint.read_result(path)


def kind_of(path: Path) -> type[Run] | type[Training]:
    """What a run folder is of, by its lines, or before there are any by its config.

    Args:
        path: the run folder.

    Raises:
        InputError: it is no run folder, or its config.yaml is broken.
    """
    refused: InputError | None = None
    for kind in (Run, Training):
        if (path / kind.lines).exists() and (path / "config.yaml").exists():
            return kind
    for kind in (Run, Training):
        try:
            read_unchecked(path, kind.defaults)
        except InputError as error:
            refused = refused or error
        else:
            return kind
    assert refused is not None
    raise refused
