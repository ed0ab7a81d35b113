"""WHO lives on: genomes and their objectives go in, survivors and their children come out.

    objectives ──> ranks, crowding distances ──> survivors ──> tournament, crossover, mutation ──> children
                   ranking.py                                  variation.py, none twice: distinct.py

`NSGA2` is the whole wheel, in evosax's ask / tell shape; `hypervolume` says how far it has come. Nothing here knows
what a genome means: a search space is any object with `lower`, `upper`, `sample` and `canonical`.

Arrays may live on a mesh, those of `jax.make_mesh` with their Explicit axes included: results are then copied to all of
its devices, and equal to those on one device. Genomes are integers of any width; floats are an `InputError`.
"""

from rwejax.evolve.distinct import GenomeSpace, sample_distinct
from rwejax.evolve.indicators import hypervolume
from rwejax.evolve.nsga2 import NSGA2, NSGA2Params, NSGA2State
from rwejax.evolve.ranking import crowding_distance, non_dominated_rank, select_survivors
from rwejax.evolve.variation import mutate, tournament, two_point_crossover

__all__ = [
    "NSGA2",
    "GenomeSpace",
    "NSGA2Params",
    "NSGA2State",
    "crowding_distance",
    "hypervolume",
    "mutate",
    "non_dominated_rank",
    "sample_distinct",
    "select_survivors",
    "tournament",
    "two_point_crossover",
]
