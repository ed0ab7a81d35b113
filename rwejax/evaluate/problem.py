"""Random-weight evaluation as an evosax problem."""

import jax
import jax.numpy as jnp
import numpy as np
from evosax.problems.problem import Problem
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator, Scores
from rwejax.genomes import check_genomes

_OBJECTIVES = ("error", "macs")


@struct.dataclass
class ProblemState:
    """The problem's state.

    Attributes:
        key: draws the weights, the same in all generations, so that scores can be compared between them.
        counter: evaluated generations.
    """

    key: PRNGKeyArray
    counter: int


class RandomWeightProblem(Problem):
    """The evaluator's objective and the macs in millions, for evosax's algorithms and ours.

    With both objectives it fits `rwejax.NSGA2`, whose genomes are integers. With one it fits the algorithms of evosax,
    all of which minimise a single objective over vectors of floats. The population-based ones (`SimpleGA`,
    `DifferentialEvolution`, `PSO`, ...) start from a population of `sample`, the distribution-based ones (`CMA_ES`,
    `Open_ES`, `SNES`, ...) from one sample as the mean. A vector of floats stands for the genome that `genomes` rounds
    it to. That suits genes of two values, as in the macro space; where a gene chooses one of several operations, their
    order means nothing, and an algorithm over floats takes it for a distance.

    `eval` lowers genomes to a program on the host, so it cannot be called inside `jit` or `scan`; everything behind
    that step is compiled.

    Args:
        evaluator: scores populations.
        objective: "error", the evaluator's objective, or "macs", so that fitness is (n,) and samples are floats; None:
            both, so that fitness is (n, 2) and samples are integers.

    Raises:
        InputError: there is no such objective.

    Examples:
        >>> import jax
        >>> from evosax.algorithms import SimpleGA
        >>> from rwejax import data, spaces
        >>> dataset = data.load("digits", train=100, validation=50)
        >>> space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape)
        >>> problem = RandomWeightProblem(RandomWeightEvaluator(space, dataset), objective="error")
        >>> key, key_weights = jax.random.split(jax.random.key(0))
        >>> state, solution = problem.init(key_weights), problem.sample(key)
        >>> algorithm = SimpleGA(4, solution)
        >>> population = jax.vmap(problem.sample)(jax.random.split(key, 4))
        >>> fitness, state, metrics = problem.eval(key, population, state)
        >>> search = algorithm.init(key, population, fitness, algorithm.default_params)
        >>> population, search = algorithm.ask(key, search, algorithm.default_params)
        >>> fitness, state, metrics = problem.eval(key, population, state)
        >>> search, _ = algorithm.tell(key, population, fitness, search, algorithm.default_params)
        >>> fitness.shape, state.counter, problem.genomes(search.best_solution).dtype
        ((4,), 2, dtype('int32'))
    """

    def __init__(self, evaluator: RandomWeightEvaluator, objective: str | None = None) -> None:
        if objective is not None and objective not in _OBJECTIVES:
            raise InputError(
                f"objective {objective!r} is unknown: choose one of {', '.join(_OBJECTIVES)}, or None for both"
            )
        self.evaluator, self.objective = evaluator, objective

    def init(self, key: PRNGKeyArray) -> ProblemState:
        """Draw the weights of the problem."""
        return ProblemState(key, 0)

    def eval(
        self, key: PRNGKeyArray, solutions: Real[Array | np.ndarray, "n genes"], state: ProblemState
    ) -> tuple[Float[Array, "n ..."], ProblemState, dict[str, Scores]]:
        """Evaluate a population.

        Args:
            key: unused, since the weights are the problem's own.
            solutions: genomes, or floats that stand for those that `genomes` gives.
            state: what `init` or the last `eval` returned.

        Returns:
            Fitness to minimise, (n, 2) or of a single objective (n,); the next state; and all scores as metrics.

        Raises:
            InputError: called inside a transformation such as `jit` or `scan`, or a solution is NaN.
        """
        del key
        if isinstance(solutions, jax.core.Tracer):
            raise InputError("RandomWeightProblem.eval was called inside jit or scan: call it from Python")
        genomes = self.genomes(solutions)
        scores = self.evaluator(state.key, genomes)
        macs = self.evaluator.space.macs(genomes) / 1e6
        fitness = jnp.asarray(np.stack([scores.objective, macs], 1), jnp.float32)
        if self.objective is not None:
            fitness = fitness[:, _OBJECTIVES.index(self.objective)]
        return fitness, ProblemState(state.key, state.counter + 1), {"scores": scores}

    def genomes(self, solutions: Real[Array | np.ndarray, "... genes"]) -> Int[np.ndarray, "... genes"]:
        """The genomes that solutions stand for: each gene the nearest integer within the bounds of the space.

        Args:
            solutions: one or several.

        Raises:
            InputError: one is NaN, or an integer out of its range, or they have another number of genes.
        """
        found = np.asarray(solutions)
        space = self.evaluator.space
        if found.shape[-1:] != space.lower.shape:
            raise InputError(f"solutions has shape {found.shape}: give (n, {len(space.lower)}), one genome a row")
        if found.dtype.kind in "iub":
            return check_genomes(space, found.reshape(-1, found.shape[-1]), "solutions").reshape(found.shape)
        if np.isnan(found).any():
            raise InputError("solutions hold NaN: the algorithm has diverged, give it smaller steps")
        return np.rint(np.clip(found, space.lower, space.upper)).astype(np.int32)

    def sample(self, key: PRNGKeyArray) -> Real[Array, " genes"]:
        """One genome, uniform over the gene values; as floats where there is one objective."""
        genome = self.evaluator.space.sample(key, 1)[0]
        return genome if self.objective is None else genome.astype(jnp.float32)
