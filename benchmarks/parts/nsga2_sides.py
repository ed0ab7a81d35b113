"""One generation of NSGA-II on binary genomes, by rwejax and by pymoo, evaluation left out of the timing.

All sides begin with the same population, whose genomes know their objectives, and repeat its next generation with other
random numbers each time. A generation gives its seconds in parts, making children and choosing survivors, unless one
call does both.
"""

import copy
import time
from typing import Any, Protocol

import jax
import numpy as np

from rwejax import spaces
from rwejax.evolve import NSGA2, NSGA2Params, NSGA2State

CROSSOVER_RATE = 0.9
EARLIER = 1_000_000  # where the numbers of the generations before the one to time begin


class Objectives:
    """Something like an error in % and exactly the multiply-adds in millions, of one network always the same.

    The error falls with the logarithm of the multiply-adds, scatters from network to network, and is a multiple of
    0.1 %, so that there are ties as there are among errors on 1,000 images.
    """

    def __init__(self, space: spaces.Macro, seed: int) -> None:
        self.space = space
        self.weights = np.random.default_rng(seed).normal(size=(2, len(space.lower)))

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """(n, 2) float32."""
        forms = np.asarray(self.space.canonical(np.asarray(genomes)))
        macs = self.space.macs(forms) / 1e6
        trend, scatter = self.weights @ forms.T
        error = 80 - 8 * np.log(macs) + 0.5 * trend + 2 * np.sin(10 * scatter)
        return np.stack([np.round(error, 1), macs], axis=1).astype(np.float32)


class Side(Protocol):
    """A way of running a generation."""

    def generation(self, number: int) -> dict[str, float]:
        """Run the next generation of the first population, and give the seconds of its parts."""


class Rwejax:
    """A search up to its last generation but one, as `rwejax.search` runs it: none of its genomes comes again.

    A generation is one compiled call: it tells the objectives of the last children and asks for the next ones. The
    objectives are on the device, where an evaluation leaves them; the next children are waited for until the host has
    them.

    Attributes:
        state: the state that the generation to time begins with.
        first_call_seconds: what the first call took, compilation included.
    """

    def __init__(self, space: spaces.Macro, objectives: Objectives, n: int, generations: int, seed: int) -> None:
        self.objectives, self.key = objectives, jax.random.key(seed)
        self.algorithm = NSGA2(n, space, archive_size=n * generations)
        self.params = jax.device_put(self.algorithm.default_params.replace(crossover_rate=CROSSOVER_RATE))
        population = self.algorithm.initial_population(self.key)
        self.state: NSGA2State = self.algorithm.init(
            self.key, population, objectives(np.asarray(population)), self.params
        )
        self._step = jax.jit(self._tell_and_ask)
        children = self.children(EARLIER)
        self.first_call_seconds, *_ = self._generation(EARLIER, children)
        # The first population is the first generation, and the last one is not told yet.
        for number in range(generations - 2):
            _, children, self.state = self._generation(EARLIER + number, children)

    def generation(self, number: int) -> dict[str, float]:
        """Tell and ask; the state stays as it is."""
        seconds, *_ = self._generation(number, self.children(2 * number + 1))
        return {"tell and ask": seconds}

    def children(self, number: int) -> jax.Array:
        """The genomes that a generation begins with."""
        key = jax.random.fold_in(self.key, number)
        return self.algorithm.ask(key, self.state, self.params)[0]

    def _generation(self, number: int, children: jax.Array) -> tuple[float, jax.Array, NSGA2State]:
        key = jax.block_until_ready(jax.random.fold_in(self.key, 2 * number))
        objectives = jax.block_until_ready(jax.device_put(self.objectives(np.asarray(children))))
        start = time.perf_counter()
        children, state = self._step(key, children, objectives, self.state, self.params)
        np.asarray(children)
        return time.perf_counter() - start, children, jax.block_until_ready(state)

    def _tell_and_ask(
        self, key: jax.Array, children: jax.Array, objectives: jax.Array, state: NSGA2State, params: NSGA2Params
    ) -> tuple[jax.Array, NSGA2State]:
        state, _ = self.algorithm.tell(key, children, objectives, state, params)  # which draws nothing
        return self.algorithm.ask(key, state, params)


class TwoCalls:
    """The same, but asking and telling apart, with objectives of the host, as `rwejax.search` does."""

    def __init__(self, ours: Rwejax) -> None:
        self.ours = ours

    def generation(self, number: int) -> dict[str, float]:
        """Ask and tell; the state stays as it is."""
        ours = self.ours
        key = jax.block_until_ready(jax.random.fold_in(ours.key, 2 * number + 1))
        start = time.perf_counter()
        children = np.asarray(ours.algorithm.ask(key, ours.state, ours.params)[0])
        asked = time.perf_counter() - start
        objectives = ours.objectives(children)
        start = time.perf_counter()
        jax.block_until_ready(ours.algorithm.tell(key, children, objectives, ours.state, ours.params))
        return {"ask": asked, "tell": time.perf_counter() - start}


class Pymoo:
    """pymoo's NSGA2 by ask and tell: two-point crossover, bit flips, no genome twice in population and children."""

    def __init__(self, population: np.ndarray, objectives: Objectives) -> None:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.core.termination import NoTermination
        from pymoo.operators.crossover.pntx import TwoPointCrossover
        from pymoo.operators.mutation.bitflip import BitflipMutation

        n, genes = population.shape
        self.objectives = objectives
        self.algorithm = NSGA2(
            pop_size=n,
            sampling=population.astype(bool),
            crossover=TwoPointCrossover(prob=CROSSOVER_RATE),
            mutation=BitflipMutation(prob=1.0, prob_var=1 / genes),
            eliminate_duplicates=True,
        )
        problem = Problem(n_var=genes, n_obj=2, xl=0, xu=1, vtype=bool)
        self.algorithm.setup(problem, termination=NoTermination(), seed=0, verbose=False)
        self._generation(self.algorithm)  # only evaluates the population

    def generation(self, number: int) -> dict[str, float]:
        """Ask and tell, on a copy of the algorithm."""
        algorithm = copy.deepcopy(self.algorithm)
        algorithm.random_state = np.random.default_rng(number)
        return self._generation(algorithm)

    def _generation(self, algorithm: Any) -> dict[str, float]:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        start = time.perf_counter()
        children = algorithm.ask()
        asked = time.perf_counter() - start
        objectives = self.objectives(children.get("X").astype(np.int32))
        Evaluator().eval(StaticProblem(algorithm.problem, F=objectives), children)
        start = time.perf_counter()
        algorithm.tell(infills=children)
        return {"ask": asked, "tell": time.perf_counter() - start}
