"""history.csv: how a search went, one row a generation.

    generation,evaluations,hypervolume,best,seconds,evaluation,planning,ask,tell,recording,other

The columns are those of `Progress`, and the seconds of each of its parts. Seconds are empty where they are unknown.
"""

import math

from rwejax.searching.observers import PARTS, Progress

FILE = "history.csv"
HEADER = ",".join(("generation", "evaluations", "hypervolume", "best", "seconds", *PARTS))


def to_row(progress: Progress) -> str:
    """One row, without its end; seconds are rounded to microseconds.

    Args:
        progress: after the generation; seconds that are NaN give empty cells.

    Examples:
        >>> parts = dict.fromkeys(PARTS, 0.5)
        >>> to_row(Progress(2, 8, 20.5, 31.25, 8 / 3, 0.0, 3.0, parts))
        '2,8,31.25,20.5,3.0,0.5,0.5,0.5,0.5,0.5,0.5'
    """
    seconds = [progress.seconds, *(progress.parts[name] for name in PARTS)]
    texts = ["" if math.isnan(value) else str(round(value, 6)) for value in seconds]
    values = progress.generation, progress.evaluations, progress.hypervolume, progress.best
    return ",".join([*map(str, values), *texts])
