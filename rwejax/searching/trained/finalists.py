"""Which networks a search trains at its end: its front, and what the front has to beat.

What it has to beat are random networks, one of about the size of each of the front's, and a plain CNN. All are trained
alike.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evaluate.population import PopulationTrainer
from rwejax.searching.front import find_finalists
from rwejax.spaces import Space

PLAIN_GENOME = np.array([[1, 0] * 3], np.int32)
"""A macro network of two nodes a phase, each of which reads the one before it."""

_NEAR = 1.1  # times as many multiply-adds, or as few, still count as the same size
_WALKERS = 8
_STEPS = 4  # for each gene
_CHANNELS = range(1, 129)  # of plain CNNs


@dataclasses.dataclass(frozen=True, eq=False)
class Finalists:
    """The networks that are trained.

    Attributes:
        rows: the finalists among the evaluations, by ascending last cost.
        genomes: of the finalists.
        random: of the random networks, in the order of the finalists; fewer where there is none of a size.
        plain: the space in which the plain CNN is `PLAIN_GENOME`; None where the images are too small for one.
        macs: of all of them together.
    """

    rows: Int[np.ndarray, " finalists"]
    genomes: Int[np.ndarray, "finalists genes"]
    random: Int[np.ndarray, "random genes"]
    plain: spaces.Macro | None
    macs: int

    @property
    def number(self) -> int:
        """Of all networks that are trained."""
        return len(self.genomes) + len(self.random) + (self.plain is not None)


def choose(
    seed: int, trainer: PopulationTrainer, genomes: Int[np.ndarray, "n genes"], objectives: Float[np.ndarray, "n m"]
) -> Finalists:
    """Choose what is trained at the end of a search.

    Args:
        seed: draws the random networks.
        trainer: of networks of the space.
        genomes: of all evaluations, in canonical form.
        objectives: of all evaluations, to be minimised.
    """
    rows = find_finalists(objectives)
    finalists = genomes[rows]
    random = _of_their_sizes(seed, trainer, finalists)
    plain = plain_space(trainer.space, finalists)
    macs = trainer.space.macs(np.concatenate([finalists, random])).sum()
    return Finalists(rows, finalists, random, plain, int(macs + (plain.macs(PLAIN_GENOME)[0] if plain else 0)))


def _of_their_sizes(
    seed: int, trainer: PopulationTrainer, finalists: Int[np.ndarray, "n genes"]
) -> Int[np.ndarray, "random genes"]:
    """For each of the finalists a random network of about its size, where there is another one."""
    space, generator = trainer.space, np.random.default_rng(seed)
    taken = [genome.tobytes() for genome in finalists]
    found = []
    for finalist in finalists:
        walkers = _walk(generator, space, int(space.macs(finalist[None])[0]))
        for genome in walkers[trainer.alive(walkers)]:
            if genome.tobytes() not in taken:
                taken.append(genome.tobytes())
                found.append(genome)
                break
    return np.array(found, np.int32).reshape(-1, len(space.lower))


def _walk(generator: np.random.Generator, space: Space, macs: int) -> Int[np.ndarray, "walkers genes"]:
    """Random networks of a size: from random genomes, by random changes of a gene that lead no farther from it.

    To draw until the size fits would never end where it is rare, as small networks are in the macro space.
    """

    def distance(genomes: Int[np.ndarray, "walkers genes"]) -> Float[np.ndarray, " walkers"]:
        away: Float[np.ndarray, " walkers"] = np.abs(np.log(np.maximum(space.macs(genomes), 1) / max(macs, 1)))
        return np.maximum(away, np.log(_NEAR))  # of the size is of the size

    each = np.arange(_WALKERS)
    walkers = generator.integers(space.lower, space.upper + 1, (_WALKERS, len(space.lower)), np.int32)
    away = distance(walkers)
    for _ in range(_STEPS * len(space.lower)):
        gene = generator.integers(len(space.lower), size=_WALKERS)
        changed = walkers.copy()
        changed[each, gene] = generator.integers(space.lower[gene], space.upper[gene] + 1)
        nearer = (there := distance(changed)) <= away
        walkers[nearer], away[nearer] = changed[nearer], there[nearer]
    return np.asarray(space.canonical(walkers[away <= np.log(_NEAR)]))


def plain_space(space: Space, finalists: Int[np.ndarray, "n genes"]) -> spaces.Macro | None:
    """The plain CNN of about the finalists' size, as a space in which it is `PLAIN_GENOME`.

    Three times a convolution that widens and two of 3x3, each with normalisation and ReLU, one after another, and a
    pool: the chain of the macro space with two nodes, with as many channels as the median macs of the finalists allow.

    Args:
        space: of the finalists.
        finalists: their genomes.

    Returns:
        None where the images are too small.
    """
    wanted = np.log(max(np.median(space.macs(finalists)), 1))
    try:
        sizes = [spaces.Macro(2, channels, space.input_shape, space.classes) for channels in _CHANNELS]
    except InputError:
        return None
    return min(sizes, key=lambda plain: abs(np.log(plain.macs(PLAIN_GENOME)[0]) - wanted))
