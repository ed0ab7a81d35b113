"""Regularised evolution that leaves a front: the oldest dies, and the best of a random few within a size has a child.

[1] Real, Aggarwal, Huang, Le, "Regularized evolution for image classifier architecture search", AAAI 2019.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from rwejax.searching.front import find_front
from rwejax.spaces import Space

_TRIES = 200  # of a mutation that is to give another network


class Population:
    """Algorithm 1 of [1], whose tournaments each draw a limit of macs: those of a random network alive.

    Args:
        space: of the networks.
        alive: says through which networks a path leads, see `rwejax.evaluate.population.PopulationTrainer.alive`.
        first: (n, genes) the first population, in canonical form.
        tournament: networks of a tournament.
        size: networks that are alive.
        generator: draws tournaments, limits and mutations.
    """

    def __init__(
        self,
        space: Space,
        alive: Callable[[Int[np.ndarray, "n genes"]], Bool[np.ndarray, " n"]],
        first: Int[np.ndarray, "n genes"],
        tournament: int,
        size: int,
        generator: np.random.Generator,
    ) -> None:
        self._space, self._alive = space, alive
        self._tournament, self._size, self._generator = tournament, size, generator
        self._first = list(first)
        self._genomes: list[np.ndarray] = []
        self._errors: list[float] = []
        self._seen = {genome.tobytes() for genome in first}

    def ask(self, count: int) -> Int[np.ndarray, "count genes"]:
        """Networks to be trained: of the first population as long as there are any, then children."""
        asked, self._first = self._first[:count], self._first[count:]
        return np.array(asked or [self._child() for _ in range(count)])

    def tell(self, genomes: Int[np.ndarray, "n genes"], errors: Sequence[float]) -> None:
        """What their trainings gave; NaN is the worst."""
        self._genomes += list(genomes)
        self._errors += [error if np.isfinite(error) else np.inf for error in errors]

    def by_fronts(self) -> Int[np.ndarray, "n genes"]:
        """All networks that were told, front by front of error and macs, and in each of them the smallest first."""
        points = np.stack([self._errors, self._space.macs(np.array(self._genomes)).astype(float)], 1)
        order: list[int] = []
        while len(front := find_front(points)):
            order += front.tolist()
            points[front] = np.inf
        return np.array(self._genomes)[order]

    def _child(self) -> Int[np.ndarray, " genes"]:
        parent = self._parent()
        for _ in range(_TRIES):
            child = self._mutated(parent)
            if child.tobytes() not in self._seen and self._alive(child[None])[0]:
                break
        self._seen.add(child.tobytes())  # after so many tries one that was there before, as in a small space
        return child

    def _parent(self) -> Int[np.ndarray, " genes"]:
        """The best of a tournament within a limit of macs; where none is, the smallest."""
        genomes, errors = np.array(self._genomes[-self._size :]), np.array(self._errors[-self._size :])
        macs = self._space.macs(genomes)
        drawn = self._generator.choice(len(genomes), min(self._tournament, len(genomes)), replace=False)
        within = drawn[macs[drawn] <= self._generator.choice(macs)]
        chosen: np.ndarray = genomes[within[errors[within].argmin()] if len(within) else drawn[macs[drawn].argmin()]]
        return chosen

    def _mutated(self, parent: Int[np.ndarray, " genes"]) -> Int[np.ndarray, " genes"]:
        """Another value of one gene."""
        lower, upper = np.asarray(self._space.lower), np.asarray(self._space.upper)
        child = np.array(parent)
        gene = self._generator.choice(np.flatnonzero(upper > lower))
        values = upper[gene] - lower[gene] + 1
        child[gene] = lower[gene] + (child[gene] - lower[gene] + self._generator.integers(1, values)) % values
        return np.asarray(self._space.canonical(child[None]))[0]
