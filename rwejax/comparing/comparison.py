"""Several searches beside each other: the hypervolume of their fronts over evaluations, and the fronts.

Runs that differ only in what chance decides, or in what no result depends on, are a group: the repeats of one setting.
The hypervolume indicator is that of Zitzler, Thiele, "Multiobjective optimization using evolutionary algorithms: a
comparative case study", PPSN V, 1998; all runs are measured from one reference point, the worst of their own.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rwejax.dataframes import make_dataframe
from rwejax.errors import InputError
from rwejax.evolve import hypervolume
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import find_front
from rwejax.searching.result import SearchResult, read_result
from rwejax.storage.meta import read_meta

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("group", "evaluations", "mean", "std", "runs")

_SETTLED = (
    "space",
    "nodes",
    "layers",
    "cells",
    "channels",
    "dataset",
    "image_size",
    "estimator",
    "score",
    "costs",
    "latency_batch",
)
"""Fields in which all runs agree: other images, networks or objectives make other hypervolumes."""

_REPEATED = (
    "seed",
    "generations",
    "data_dir",
    "run_dir",
    "genomes_per_program",
    "images_per_batch",
    "training_minutes",
    "training_epochs",
    "figure_format",
)
"""Fields in which the runs of a group may differ."""

_FRONTS_TOGETHER = 64  # bounds memory


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Searches that are repeats of one setting.

    Attributes:
        label: what tells it from the other groups.
        results: of its runs.
        evaluations: (generations,) evaluated genomes after each generation, of the longest run.
        hypervolumes: (runs, generations) of the front of all genomes until then, in the product of the objectives'
            units; NaN where a run has not got so far.
    """

    label: str
    results: tuple[SearchResult, ...]
    evaluations: Int[np.ndarray, " generations"]
    hypervolumes: Float[np.ndarray, "runs generations"]

    @property
    def mean(self) -> Float[np.ndarray, " generations"]:
        """Hypervolume, the mean over the runs that have got so far."""
        return np.nanmean(self.hypervolumes, axis=0)

    @property
    def std(self) -> Float[np.ndarray, " generations"]:
        """The standard deviation over these runs; 0 for a single one."""
        return np.nanstd(self.hypervolumes, axis=0)

    @property
    def trained(self) -> tuple[SearchResult, ...]:
        """The runs that have ended by training their front."""
        return tuple(result for result in self.results if result.outcome.final)

    @property
    def best_errors(self) -> Float[np.ndarray, " trained"]:
        """The least validation error of a trained network of each of these, in %, random networks left out."""
        return np.array([np.nanmin(result.outcome.error) for result in self.trained])

    @property
    def runs(self) -> Int[np.ndarray, " generations"]:
        """How many runs have got so far."""
        return (~np.isnan(self.hypervolumes)).sum(axis=0)


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Several searches with the same objectives.

    Attributes:
        groups: the searches, those that differ only in the seed together, in the order of their first runs.
        reference: (m,) what the hypervolumes are measured from: in each objective, the worst of the runs' references.
    """

    groups: tuple[Group, ...]
    reference: Float[np.ndarray, " m"]

    @property
    def config(self) -> SearchConfig:
        """Of the first run; the others have the same networks, images and objectives."""
        return self.groups[0].results[0].config

    def __repr__(self) -> str:
        groups = ", ".join(f"{group.label!r}: {len(group.results)} runs" for group in self.groups)
        return f"Comparison({groups})"

    def rows(self) -> Iterator[tuple[str, int, float, float, int]]:
        """A row a group and generation: group, evaluations, mean and std of the hypervolume, runs that got so far."""
        for group in self.groups:
            curves = (each.tolist() for each in (group.evaluations, group.mean, group.std, group.runs))
            for row in zip(*curves, strict=True):
                yield (group.label, *row)

    def to_dataframe(self) -> "pd.DataFrame":
        """The same rows.

        Raises:
            InputError: pandas is not installed.
        """
        return make_dataframe(dict(zip(COLUMNS, zip(*self.rows(), strict=True), strict=True)))

    def plot(self, axes: "Sequence[Axes] | None" = None) -> "Figure":
        """Draw the hypervolumes over evaluations, and beside them the fronts.

        Args:
            axes: two, where to draw; None: those of a new figure.

        Returns:
            The figure that they are in.
        """
        from rwejax.comparing.plot import draw  # takes half a second to import

        return draw(self, axes)


def load_many(paths: Sequence[str | Path]) -> Comparison:
    """Compare searches by their run folders, which may still be at work.

    Args:
        paths: the run folders, each counted once.

    Raises:
        InputError: a folder holds no search or no finished generation, or the searches differ in networks, images or
            objectives.
    """
    folders = list({os.path.realpath(path): Path(path) for path in paths}.values())
    if not folders:
        raise InputError("no runs are named: give the folders of searches")
    results = [read_result(folder) for folder in folders]
    for result in results:
        _check(result, results[0])
    reference = np.max([_reference(result) for result in results], axis=0)
    grouped: dict[tuple[Any, ...], list[int]] = {}
    for row, result in enumerate(results):
        grouped.setdefault(tuple(_setting(result.config).values()), []).append(row)
    labels = _labels([_setting(results[rows[0]].config) for rows in grouped.values()])
    curves = _curves(results, reference)
    groups = [
        _group(label, [results[row] for row in rows], [curves[row] for row in rows])
        for label, rows in zip(labels, grouped.values(), strict=True)
    ]
    return Comparison(tuple(groups), reference)


def _check(result: SearchResult, first: SearchResult) -> None:
    """Refuse a run that has not begun, or whose hypervolume means something else than the first one's."""
    if len(result.evaluations) < result.config.population_size:
        raise InputError(f"run {str(result.run_dir)!r} has no finished generation: leave it out or resume it")
    mine, other = result.config.resolved(), first.config.resolved()
    named = [
        f"{name} ({getattr(mine, name)} and {getattr(other, name)})"
        for name in _SETTLED
        if getattr(mine, name) != getattr(other, name)
    ]
    if named:
        raise InputError(
            f"runs {str(result.run_dir)!r} and {str(first.run_dir)!r} differ in {', '.join(named)}: "
            "compare runs of the same networks, images and objectives"
        )


def _reference(result: SearchResult) -> tuple[float, ...]:
    reference = read_meta(result.run_dir).get("hypervolume_reference")
    if not isinstance(reference, list) or len(reference) != result.objectives.shape[1]:
        raise InputError(
            f"meta.json in run folder {str(result.run_dir)!r} has no hypervolume_reference: leave the run out"
        )
    return tuple(reference)


def _setting(config: SearchConfig) -> dict[str, Any]:
    """What the runs of a group agree in, and groups may differ in."""
    names = (field.name for field in dataclasses.fields(config))
    return {name: getattr(config, name) for name in names if name not in (*_SETTLED, *_REPEATED)}


def _labels(settings: Sequence[dict[str, Any]]) -> list[str]:
    """What tells settings apart; of a single one, its algorithm."""
    differing = [name for name in settings[0] if len({setting[name] for setting in settings}) > 1] or ["algorithm"]
    return [", ".join(f"{name} {setting[name]}" for name in differing) for setting in settings]


def _group(label: str, results: Sequence[SearchResult], curves: Sequence[Float[np.ndarray, " generations"]]) -> Group:
    generations = max(map(len, curves))
    hypervolumes = np.full((len(curves), generations), np.nan)
    for row, curve in enumerate(curves):
        hypervolumes[row, : len(curve)] = curve
    evaluations = results[0].config.population_size * np.arange(1, generations + 1)
    return Group(label, tuple(results), evaluations, hypervolumes)


def _curves(
    results: Sequence[SearchResult], reference: Float[np.ndarray, " m"]
) -> list[Float[np.ndarray, " generations"]]:
    """The hypervolume of each run after each of its generations."""
    fronts = [list(_fronts(result)) for result in results]
    flat = [front for each in fronts for front in each]
    # Padded, so that all are one compiled call.
    padded = np.full((len(flat), max(map(len, flat)), len(reference)), np.inf, np.float32)
    for row, front in enumerate(flat):
        padded[row, : len(front)] = front
    volumes = np.asarray(_hypervolumes(padded, reference.astype(np.float32)), float)
    return np.split(volumes, np.cumsum([len(each) for each in fronts])[:-1])


def _fronts(result: SearchResult) -> Iterator[Float[np.ndarray, "front m"]]:
    """The front of all evaluations until the end of each finished generation."""
    size = result.config.population_size
    front = result.objectives[:0]
    for end in range(size, len(result.objectives) + 1, size):
        points = np.concatenate([front, result.objectives[end - size : end]])
        front = points[find_front(points)]
        yield front


@jax.jit
def _hypervolumes(fronts: Float[Array, "n front m"], reference: Float[Array, " m"]) -> Float[Array, " n"]:
    return jax.lax.map(lambda front: hypervolume(front, reference), fronts, batch_size=_FRONTS_TOGETHER)
