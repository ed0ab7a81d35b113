"""Rank-correlate what searches have minimised with the accuracies of trained networks, generation by generation.

The correlation inside each population of a search is what [1] shows of random-weight evaluation. A run folder does not
record who survived, so here it is the correlation among the genomes that a generation evaluated: the first population,
and after it the offspring.

[1] Hu, Cheng, He, Lu, Wang, Zhang, "Accelerating multi-objective neural architecture search by random-weight
    evaluation", Complex & Intelligent Systems 2021, https://arxiv.org/abs/2110.05242
"""

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np

from rwejax import plugins, spaces
from rwejax.correlating import statistics, tables
from rwejax.correlating.config import SMALLEST_SAMPLE, CorrelateRunsConfig
from rwejax.correlating.output import figure_path
from rwejax.correlating.result import CorrelateRunsResult
from rwejax.correlating.tables import Truth
from rwejax.errors import InputError
from rwejax.searching.config import SearchConfig
from rwejax.searching.records import Evaluation
from rwejax.searching.result import read_result
from rwejax.storage.atomic import replacing
from rwejax.storage.output import free_output, writing


def correlate_runs(config: CorrelateRunsConfig) -> CorrelateRunsResult:
    """Measure how well the first objective of searches ranks the genomes inside each generation.

    Truth is looked up by canonical genome; where the table has several networks that are one to the space, it is their
    mean. Genomes that it does not have are left out and counted.

    Args:
        config: which runs, which accuracies.

    Returns:
        The correlations, which are also on disk as a table and a figure.

    Raises:
        InputError: something in the config cannot be used, or the table has none of the genomes.
    """
    config.validate()
    results = [read_result(folder) for folder in config.folders]
    runs = [result.evaluations for result in results]
    first = results[0].config
    for folder, other in zip(config.folders, results, strict=True):
        if _networks(other.config) != _networks(first):
            raise InputError(
                f"run {str(folder)!r} has another space or number of nodes than run {str(config.folders[0])!r}: "
                "give runs of one space"
            )
    output = free_output(
        config.output,
        f"correlate-runs-{first.space_name}-{config.column}",
        lambda path: [path, figure_path(path, figure_format=config.figure_format)],
    )
    space = spaces.get(first.space, **first.sizes)
    table = tables.read(config.truth, config.column, space)
    values = _by_genome(table, space)
    generations = max((evaluation.generation for found in runs for evaluation in found), default=0)
    rows = [_generations(found, generations, values, space) for found in runs]
    evaluated, known, spearman = (np.array(part) for part in zip(*rows, strict=True))
    if not known.sum():
        raise InputError(
            f"truth {str(config.truth)!r} has none of the {evaluated.sum()} genomes that the runs evaluated: "
            "give a larger table"
        )
    found = evaluated, known, spearman
    result = CorrelateRunsResult(config, first.space_name, config.folders, *found, output, table.skipped)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        _record(result)
    return result


def _networks(config: SearchConfig) -> tuple[Any, ...]:
    return plugins.identity(config.space), config.sizes.get("nodes")


def _by_genome(table: Truth, space: spaces.Space) -> dict[bytes, float]:
    canonical = np.asarray(space.canonical(table.genomes))
    distinct, inverse, counts = np.unique(canonical, axis=0, return_inverse=True, return_counts=True)
    means = np.bincount(inverse.ravel(), table.values) / counts
    return dict(zip((genome.tobytes() for genome in distinct), means.tolist(), strict=True))


def _generations(
    evaluations: Sequence[Evaluation], generations: int, values: dict[bytes, float], space: spaces.Space
) -> tuple[list[int], list[int], list[float]]:
    """Of each generation the genomes, those that are known, and the correlation among these."""
    evaluated, known, spearman = [0] * generations, [0] * generations, [np.nan] * generations
    members: list[list[Evaluation]] = [[] for _ in range(generations)]
    for evaluation in evaluations:
        members[evaluation.generation - 1].append(evaluation)
    for number, found in enumerate(members):
        if not found:
            continue
        genomes = np.array([space.from_string(evaluation.architecture) for evaluation in found], np.int32)
        true = np.array([values.get(genome.tobytes(), np.nan) for genome in np.asarray(space.canonical(genomes))])
        scores = -np.array([evaluation.objectives[0] for evaluation in found])
        there = ~np.isnan(true)
        evaluated[number], known[number] = len(found), int(there.sum())
        if known[number] >= SMALLEST_SAMPLE:
            spearman[number] = statistics.spearman(scores[there], true[there])
    return evaluated, known, spearman


def _record(result: CorrelateRunsResult) -> None:
    with replacing(result.output) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "generation", "evaluated", "known", "spearman"])
        for (row, generation), spearman in np.ndenumerate(result.spearman):
            counts = result.evaluated[row, generation], result.known[row, generation]
            writer.writerow([result.runs[row], generation + 1, *counts, "" if np.isnan(spearman) else spearman])
    from rwejax.correlating import plot  # takes half a second to import

    plot.save_generations(result, figure_path(result.output, figure_format=result.config.figure_format))
