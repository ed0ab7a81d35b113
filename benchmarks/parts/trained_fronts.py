"""What ways to find networks have found: measures of the networks that each run has trained, and their summary.

Rows are those of two CSV files: one of runs, one of trained networks. What is measured of a setting depends on all of
its random networks, so it is computed anew whenever there are more.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from rwejax.evolve import hypervolume
from rwejax.searching.front import FINALIST, LABEL, PLAIN, RANDOM
from rwejax.storage.trainings import TrainedNetwork

from .timed_ways import FINALLY, WAYS

Row = dict[str, str]

SETTING = (
    "dataset",
    "space",
    "sizes",
    "image_size",
    "train_images",
    "validation_images",
    "epochs",
    "generations",
    "population_size",
    "calibrate",
    "evolution_population",
    "tournament",
    "brief_epochs",
    "cpu",
    "cores",
    "jax",
)
"""Columns that say which runs can be compared."""

QUANTILES = {"error_within_33": 33, "error_within_67": 67, "error_within_100": 100}
"""Percentiles of the random networks' macs, within which the best error is taken."""

MEASURES = "hypervolume", "hypervolume_finalists", *QUANTILES
"""Hypervolumes are to be large, and errors, in %, small."""

_CONFIDENCE = 0.95
_FRONT = FINALIST, FINALLY, "random"  # a run of random networks has no other front than that of all
_PRECEDENCE = FINALIST, LABEL, RANDOM  # of a network that has been trained for several ends


def setting_of(row: Row) -> tuple[str, ...]:
    """The columns that say which runs can be compared."""
    return tuple(row[name] for name in SETTING)


def distinct(trained: Iterable[TrainedNetwork]) -> list[TrainedNetwork]:
    """Each network once, a label that has become a finalist as such; a plain CNN is none of the space's networks."""
    order = {role: number for number, role in enumerate(_PRECEDENCE)}
    found: dict[tuple[bool, str], TrainedNetwork] = {}
    for each in sorted(trained, key=lambda each: order.get(each.role, len(order))):
        found.setdefault((each.role == PLAIN, each.architecture), each)
    return list(found.values())


def measured(runs: Sequence[Row], networks: Sequence[Row]) -> list[Row]:
    """The runs with their measures, which are empty for seeds that not all ways have run with yet.

    Args:
        runs: have the columns of `SETTING`, way and seed.
        networks: have the same columns, and role, macs and error.
    """
    rows = []
    for setting, mine in grouped(runs):
        whole = {
            row["seed"] for row in mine if {each["way"] for each in mine if each["seed"] == row["seed"]} == {*WAYS}
        }
        points = {
            (way, seed): _points(each for each in networks if _key(each) == (setting, way, seed))
            for way in WAYS
            for seed in whole
        }
        chance = np.concatenate([points["random", seed][0] for seed in sorted(whole)] or [np.zeros((0, 2))])
        for row in mine:
            found = dict.fromkeys(MEASURES, "")
            if row["seed"] in whole and len(chance):
                values = _measure(*points[row["way"], row["seed"]], chance)
                found = {name: f"{value:.4f}" if math.isfinite(value) else "" for name, value in values.items()}
            rows.append(row | found)
    return rows


def grouped(rows: Sequence[Row]) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """The rows of each setting."""
    for setting in dict.fromkeys(map(setting_of, rows)):
        yield setting, [row for row in rows if setting_of(row) == setting]


def points_of(networks: Iterable[Row]) -> Float[np.ndarray, "n 2"]:
    """Error in % and macs of networks that have not diverged, without plain CNNs."""
    return _points(networks)[0]


def _key(row: Row) -> tuple[tuple[str, ...], str, str]:
    return setting_of(row), row["way"], row["seed"]


def _points(networks: Iterable[Row]) -> tuple[Float[np.ndarray, "n 2"], list[bool]]:
    """Error and macs, and which are those of networks of the front that the run itself has chosen."""
    mine = [each for each in networks if each["role"] != PLAIN and each["error"]]
    points = [(float(each["error"]), float(each["macs"])) for each in mine]
    return np.array(points, float).reshape(-1, 2), [_on_front(each) for each in mine]


def _on_front(network: Row) -> bool:
    return network["role"] in _FRONT and (network["role"] != RANDOM or network["way"] == "random")


def _measure(points: Float[np.ndarray, "n 2"], front: list[bool], chance: Float[np.ndarray, "m 2"]) -> dict[str, float]:
    """The measures of a run.

    Args:
        points: error and macs of its networks.
        front: which of them it has chosen for its front.
        chance: those of all random networks of the setting.
    """
    worst = chance.max(0)
    volumes = [float(hypervolume(each / worst, np.ones(2))) for each in (points, points[np.array(front, bool)])]
    found = dict(zip(MEASURES, volumes, strict=False))
    for name, percentile in QUANTILES.items():
        within = points[points[:, 1] <= np.percentile(chance[:, 1], percentile), 0]
        found[name] = within.min() if len(within) else math.nan
    return found


def summary(runs: Sequence[Row]) -> Iterator[str]:
    """Lines that say what was measured of the runs of one setting, over its seeds."""
    runs = [row for row in runs if row["hypervolume"]]
    if not runs:
        yield "no seed has run with all ways yet"
        return
    for name in ("seconds", "networks", "brief_trainings", *MEASURES):
        for way in WAYS:
            if len(values := np.array([*_of(runs, way, name).values()])):
                yield f"{name:<22} {way:<11} {_spread(values)}"
    for name in MEASURES:
        chance = _of(runs, "random", name)
        for way in (each for each in WAYS if each != "random"):
            mine = _of(runs, way, name)
            if gains := [mine[seed] - chance[seed] for seed in mine if seed in chance]:
                yield f"{name:<22} {way:<11} less random: {verdict(np.array(gains), larger='hypervolume' in name)}"


def verdict(differences: Float[np.ndarray, " seeds"], larger: bool) -> str:
    """Paired differences to random networks, seed by seed, in words.

    Args:
        differences: one a seed.
        larger: whether larger is better.
    """
    seeds, mean = len(differences), differences.mean()
    if seeds < 2:
        return f"{mean:+.4f}, one seed, which has no spread"
    error = differences.std(ddof=1) / math.sqrt(seeds)
    clear = abs(mean) > stats.t.interval(_CONFIDENCE, seeds - 1)[1] * error
    ahead = "ahead" if (mean > 0) == larger else "behind"
    said = f"{ahead} by more than the spread of seeds" if clear else "not to be told apart by so many seeds"
    return f"{mean:+.4f} +- {error:.4f} ({seeds} seeds), {said}"


def _of(runs: Sequence[Row], way: str, name: str) -> dict[str, float]:
    """By seed."""
    return {row["seed"]: float(row[name]) for row in runs if row["way"] == way and row[name]}


def _spread(values: Float[np.ndarray, " seeds"]) -> str:
    deviation = f", std {values.std(ddof=1):.4g}" if len(values) > 1 else ""
    return f"{values.mean():.4g} ({values.min():.4g} - {values.max():.4g}{deviation})"
