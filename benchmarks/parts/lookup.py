"""Searches of the whole table of NAS-Bench-201 whose trainings are looked up."""

from typing import NamedTuple

import numpy as np

from rwejax.evaluate import choosing, predictor, untrained
from rwejax.evaluate.untrained import Table

from .forward_tables import Scored

METHODS = ("random", "evolution", "default score", "predictor", "predictor, 1,280 networks", "predictor, trusting")
"""What is compared. The predictor's first eight labels are the prior's best in groups of similar macs, in a random half
of the table; then four at a time those with the best upper confidence bound (`trusting`: with the best prediction).
`1,280 networks` scores as many random ones as a search of 64 x 20 evaluates instead of the whole table."""
_OPERATIONS = 5
_POPULATION, _TOURNAMENT = 10, 3  # of the benchmark's own paper, section 5
_FIRST, _BATCH = 8, 4


class Lookup(NamedTuple):
    """The whole table.

    Attributes:
        accuracy: of every cell by the number that its genes are the digits of, in %.
        codes: the numbers of different networks, each a cell of its own.
        table: what is known of those without training; the prior is the space's default score.
        macs: of those.
    """

    accuracy: np.ndarray
    codes: np.ndarray
    table: Table
    macs: np.ndarray


def prepare(scored: Scored) -> Lookup:
    """The table by cells and by different networks. Each of these is trained as its cheapest cell."""
    space = scored.space
    cells = np.array(np.unravel_index(np.arange(_OPERATIONS**6), (_OPERATIONS,) * 6), np.int32).T
    canonical, first = np.unique(scored.genomes, axis=0, return_index=True)
    scores = {name: values[first] for name, values in scored.scores.items()}
    known = {**scores, "macs": space.macs(canonical), "params": space.params(canonical)}
    table = untrained.tabulate(space, canonical, known, scores[space.default_estimator])
    accuracy = np.full(len(cells), np.nan)
    accuracy[_code(scored.written)] = scored.accuracy
    return Lookup(accuracy, _code(canonical), table, np.asarray(space.macs(canonical)))


def regrets(lookup: Lookup, method: str, count: int, seed: int) -> np.ndarray:
    """Points of accuracy from the best cell of all to the best trained, after 1, 2, ... `count` trainings."""
    rng = np.random.default_rng(seed)
    if method == "random":
        found = rng.permutation(len(lookup.accuracy))[:count]
    elif method == "evolution":
        found = _evolution(lookup, count, rng)
    elif method == "default score":
        found = lookup.codes[np.argsort(-lookup.table.prior, kind="stable")[:count]]
    else:
        found = lookup.codes[_by_predictor(lookup, count, rng, method)]
    return lookup.accuracy.max() - np.maximum.accumulate(lookup.accuracy[found])


def _by_predictor(lookup: Lookup, count: int, rng: np.random.Generator, method: str) -> np.ndarray:
    rows = np.arange(len(lookup.codes))
    if "1,280" in method:
        rows = np.sort(rng.permutation(len(rows))[:1280])
    table, macs = Table(*(part[rows] for part in lookup.table)), lookup.macs[rows]
    accuracy = lookup.accuracy[lookup.codes[rows]]
    labelled = choosing.spread(table.prior, macs, _FIRST, rng.random(len(rows)) < 0.5)
    labelled = rng.permutation(labelled)
    while len(labelled) < count:
        prediction = predictor.fit(table, labelled, 100 - accuracy[labelled]).predict(table)
        values = choosing.optimistic(prediction, doubt=0.0 if "trusting" in method else 1.0)
        values[labelled] = -np.inf
        labelled = np.concatenate([labelled, np.argsort(-values, kind="stable")[:_BATCH]])
    return rows[labelled[:count]]


def _evolution(lookup: Lookup, count: int, rng: np.random.Generator) -> np.ndarray:
    """Regularised evolution [1]: the oldest dies, the best of a random few has a child that differs in one edge.

    [1] Real, Aggarwal, Huang, Le, "Regularized evolution for image classifier architecture search", AAAI 2019.
    """
    history = list(rng.integers(len(lookup.accuracy), size=min(_POPULATION, count)))
    while len(history) < count:
        alive = history[-_POPULATION:]
        parent = max(rng.choice(alive, _TOURNAMENT, replace=False), key=lambda code: lookup.accuracy[code])
        place = _OPERATIONS ** rng.integers(6)
        other = (parent // place + rng.integers(1, _OPERATIONS)) % _OPERATIONS
        history.append(parent + (other - parent // place % _OPERATIONS) * place)
    return np.array(history)


def _code(genomes: np.ndarray) -> np.ndarray:
    return (genomes * _OPERATIONS ** np.arange(5, -1, -1)).sum(-1)
