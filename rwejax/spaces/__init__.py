"""WHAT is searched: genomes, the architectures they stand for, and what these cost. No weights, no images."""

from rwejax.spaces.base import SIZE_OPTIONS, Space
from rwejax.spaces.cells import CellSpace
from rwejax.spaces.counting import counts
from rwejax.spaces.darts import Darts
from rwejax.spaces.macro import Macro
from rwejax.spaces.micro import Micro
from rwejax.spaces.nasbench201 import NASBench201
from rwejax.spaces.nasbench_macro import NASBenchMacro
from rwejax.spaces.registry import check, get, get_class, names, register, sizes_of

__all__ = [
    "SIZE_OPTIONS",
    "CellSpace",
    "Darts",
    "Macro",
    "Micro",
    "NASBench201",
    "NASBenchMacro",
    "Space",
    "check",
    "counts",
    "get",
    "get_class",
    "names",
    "register",
    "sizes_of",
]
