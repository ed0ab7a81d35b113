"""What a training has made and measured."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from rwejax import spaces
from rwejax.dataframes import make_dataframe
from rwejax.networks import PlainNetwork
from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch, Test

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained network.

    Attributes:
        network: the module.
        variables: its parameters, and the collection `batch_stats`.
        space: its space, made for its size.
        genome: its genome.
        epochs: what was measured after each epoch.
        test: what was measured at the end; None of a training that has not got there.
        run_dir: the run folder.
        config: the training.
    """

    network: PlainNetwork
    variables: dict[str, Any]
    space: spaces.Space
    genome: Int[np.ndarray, " genes"]
    epochs: tuple[Epoch, ...]
    test: Test | None
    run_dir: Path
    config: TrainConfig

    def __repr__(self) -> str:
        reached = f"epochs={len(self.epochs)}" if self.test is None else f"test_accuracy={self.test.test_accuracy:.2f}"
        return f"TrainResult({reached}, run_dir={str(self.run_dir)!r})"

    def to_dataframe(self) -> "pd.DataFrame":
        """A row an epoch: its number, losses, accuracies in % and seconds.

        Raises:
            InputError: pandas is not installed.
        """
        names = [field.name for field in dataclasses.fields(Epoch)]
        return make_dataframe({name: [getattr(epoch, name) for epoch in self.epochs] for name in names})

    def plot(self, axes: "Axes | None" = None) -> "Figure":
        """Draw the accuracies over the epochs.

        Args:
            axes: where to draw; None: a new figure.

        Returns:
            The figure that they are in.
        """
        from rwejax.figures import show  # takes half a second to import
        from rwejax.training.plot import plot_curve

        return show(lambda axes: plot_curve(self.epochs, axes), axes)
