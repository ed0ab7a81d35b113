"""Random-weight evaluation as an evosax problem."""

import jax
import jax.numpy as jnp
from evosax.problems.problem import Problem
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rwejax.errors import InputError
from rwejax.evaluate.random_weight import RandomWeightEvaluator, Scores


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
    """Two objectives for evosax's algorithms and ours: the evaluator's objective and the macs in millions.

    `eval` lowers genomes to a program on the host, so it cannot be called inside `jit` or `scan`; everything behind
    that step is compiled.

    Args:
        evaluator: scores populations.

    Example:
        >>> import jax
        >>> from rwejax import data, spaces
        >>> from rwejax.evolve import NSGA2
        >>> dataset = data.load("digits", train=100, validation=50)
        >>> space = spaces.get("macro", nodes=2, channels=4, input_shape=dataset.image_shape)
        >>> problem, algorithm = RandomWeightProblem(RandomWeightEvaluator(space, dataset)), NSGA2(4, space)
        >>> key, key_init, key_eval = jax.random.split(jax.random.key(0), 3)
        >>> state = problem.init(key_init)
        >>> population = algorithm.initial_population(key)
        >>> fitness, state, metrics = problem.eval(key_eval, population, state)
        >>> fitness.shape, state.counter
        ((4, 2), 1)
    """

    def __init__(self, evaluator: RandomWeightEvaluator) -> None:
        self.evaluator = evaluator

    def init(self, key: PRNGKeyArray) -> ProblemState:
        """Draw the weights of the problem."""
        return ProblemState(key, 0)

    def eval(
        self, key: PRNGKeyArray, solutions: Int[Array, "n genes"], state: ProblemState
    ) -> tuple[Float[Array, "n 2"], ProblemState, dict[str, Scores]]:
        """Evaluate a population.

        Args:
            key: unused, since the weights are the problem's own.
            solutions: genomes.
            state: what `init` or the last `eval` returned.

        Returns:
            Objectives to minimise, the next state, and all scores as metrics.

        Raises:
            InputError: called inside a transformation such as `jit` or `scan`.
        """
        del key
        if isinstance(solutions, jax.core.Tracer):
            raise InputError("RandomWeightProblem.eval was called inside jit or scan: call it from Python")
        scores = self.evaluator(state.key, solutions)
        macs = self.evaluator.space.macs(solutions) / 1e6
        fitness = jnp.stack([jnp.asarray(scores.objective), jnp.asarray(macs)], 1).astype(jnp.float32)
        return fitness, ProblemState(state.key, state.counter + 1), {"scores": scores}

    def sample(self, key: PRNGKeyArray) -> Int[Array, " genes"]:
        """One genome, uniform over the gene values."""
        return self.evaluator.space.sample(key, 1)[0]
