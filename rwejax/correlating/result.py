"""What a correlation has measured, and what is told of it while it runs."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from rwejax import spaces
from rwejax.correlating.config import CorrelateConfig, CorrelateRunsConfig
from rwejax.correlating.statistics import Correlation
from rwejax.dataframes import make_dataframe
from rwejax.errors import InputError
from rwejax.runtime.observer import Observer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """An estimator and how well it ranks.

    Attributes:
        estimator: its name.
        scores: of the networks of the result; minus infinity where a network is dead.
        correlation: with the tables.
        dead: networks that score minus infinity, and so rank last.
        seconds: an architecture, without compilation: the mean over all slices of the sample but the first.
        compile_seconds: that the first slice took longer than that, most of it compilation.
        together: estimators that one pass scored at once, this one among them; both times are those of all of them.
    """

    estimator: str
    scores: Float[np.ndarray, " n"]
    correlation: Correlation
    dead: int
    seconds: float
    compile_seconds: float
    together: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class CorrelateResult:
    """What was measured. Row i of every array, and of the file of scores, is one network.

    Attributes:
        config: what was asked for.
        space: the networks that were scored.
        texts: their architectures as the space writes them.
        values: (n,) what they are truly worth.
        macs: (n,) multiply-adds for one image of the dataset.
        available: networks that the table has for the space.
        measured: the estimators that are finished, in the order of the config, but for those of one pass, which follow
            one another.
        output: the table on disk.
        skipped: a sentence for each row of the table that makes no sense and was left out; unknown, and so empty, where
            the result was read back.
    """

    config: CorrelateConfig
    space: spaces.Space
    texts: tuple[str, ...]
    values: Float[np.ndarray, " n"]
    macs: Int[np.ndarray, " n"]
    available: int
    measured: tuple[Measured, ...]
    output: Path
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = ", ".join(measured.estimator for measured in self.measured)
        return f"CorrelateResult({names} on {len(self.values)} networks, output={str(self.output)!r})"

    def to_dataframe(self) -> "pd.DataFrame":
        """A row a network: architecture, value, and the score of each estimator in a column of its name.

        Raises:
            InputError: pandas is not installed.
        """
        scores = {measured.estimator: measured.scores for measured in self.measured}
        return make_dataframe({"architecture": self.texts, "value": self.values, **scores})

    def plot(self, axes: "Axes | None" = None, estimator: str | None = None) -> "Figure":
        """Draw the scores of an estimator against the values.

        Args:
            axes: where to draw; None: a new figure.
            estimator: its name; None: the first.

        Returns:
            The figure that they are in.

        Raises:
            InputError: the estimator was not measured.
        """
        from rwejax.correlating.plot import plot_scores
        from rwejax.figures import show  # takes half a second to import

        found = {measured.estimator: measured for measured in self.measured}
        name = next(iter(found), None) if estimator is None else estimator
        if name is None or name not in found:
            raise InputError(f"estimator {name!r} was not measured: choose one of {', '.join(found) or 'none'}")
        return show(lambda axes: plot_scores(self, found[name], axes), axes)


@dataclasses.dataclass(frozen=True, eq=False)
class CorrelateRunsResult:
    """Correlations inside the generations of searches.

    Attributes:
        config: what was asked for.
        space: the name of the space of all runs.
        runs: the run folders, in the order of the rows below.
        evaluated: (runs, generations) genomes that a generation evaluated; 0 where a run has no such generation.
        known: (runs, generations) those among them that the truth has.
        spearman: (runs, generations) correlation of the negated objective with the truth among the known ones; NaN for
            fewer than three of them, or a constant.
        output: the table on disk.
        skipped: a sentence for each row of the truth that makes no sense and was left out.
    """

    config: CorrelateRunsConfig
    space: str
    runs: tuple[Path, ...]
    evaluated: Int[np.ndarray, "runs generations"]
    known: Int[np.ndarray, "runs generations"]
    spearman: Float[np.ndarray, "runs generations"]
    output: Path
    skipped: tuple[str, ...] = ()

    @property
    def mean(self) -> Float[np.ndarray, " generations"]:
        """Of each generation over the runs that have a correlation there; NaN for none."""
        return self._over_runs(np.mean)

    @property
    def std(self) -> Float[np.ndarray, " generations"]:
        """The standard deviation over these runs; 0 for a single one, NaN for none."""
        return self._over_runs(np.std)

    def _over_runs(self, function: Any) -> Float[np.ndarray, " generations"]:
        columns = (column[~np.isnan(column)] for column in self.spearman.T)
        return np.array([function(column) if len(column) else np.nan for column in columns])


class CorrelateObserver(Observer):
    """Is told how a correlation goes; does nothing by itself, so override what is of interest.

    If it raises, the correlation ends with that exception; the estimators that are finished stay on disk.
    """

    def on_start(self, result: CorrelateResult) -> None:
        """The networks are drawn and the files are claimed; nothing is measured yet."""

    def on_slice(self, estimator: str, networks: int) -> None:
        """An estimator begins, or has scored a further slice of the networks.

        Args:
            estimator: its name.
            networks: how many are scored by now; 0 before it compiles.
        """

    def on_estimator(self, result: CorrelateResult) -> None:
        """The last of `result.measured` is finished and on disk."""

    def on_end(self, result: CorrelateResult) -> None:
        """All estimators are finished; an interrupted correlation does not get here."""
