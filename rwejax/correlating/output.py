"""The files that a correlation writes: a table, the scores beside it, and figures. Nothing is overwritten."""

import csv
from pathlib import Path
from typing import Any

from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.result import CorrelateResult, Measured
from rwejax.storage.atomic import replacing
from rwejax.storage.output import free_output, writing


def scores_path(output: Path) -> Path:
    """Where the scores lie that belong to a table."""
    return output.with_name(f"{output.stem}.scores.csv")


def figure_path(output: Path, estimator: str | None = None, figure_format: str = "png") -> Path:
    """Where the figure lies that belongs to a table, or to one of the estimators in it.

    Args:
        output: the table, NAME.csv.
        estimator: whose figure, NAME-ESTIMATOR.png; None: NAME.png, the one of the whole table.
        figure_format: its suffix.
    """
    return output.with_name(f"{output.stem}{'' if estimator is None else f'-{estimator}'}.{figure_format}")


def free_table(config: CorrelateConfig) -> Path:
    """The table's path, where neither it nor what belongs to it exists; see `free_output`."""

    def files(output: Path) -> list[Path]:
        figures = [figure_path(output, name, config.figure_format) for name in config.estimators]
        return [output, scores_path(output), *figures]

    return free_output(config.output, f"correlate-{config.space_name}-{config.column}", files)


def claim_table(config: CorrelateConfig) -> Path:
    """The table's path, with an empty file of scores, so that no other process takes it."""
    output = free_table(config)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        scores_path(output).open("x").close()
    return output


def record(result: CorrelateResult) -> None:
    """Write everything that is measured so far; each file appears whole or not at all."""
    names = [measured.estimator for measured in result.measured]
    columns = [measured.scores.tolist() for measured in result.measured]
    with replacing(scores_path(result.output)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["architecture", result.config.column, *names])
        writer.writerows(zip(result.texts, result.values.tolist(), *columns, strict=True))
    rows = [_row(result, measured) for measured in result.measured]
    with replacing(result.output) as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    from rwejax.correlating import plot  # takes half a second to import

    path = figure_path(result.output, names[-1], result.config.figure_format)
    plot.save_scores(result, result.measured[-1], path)


def _row(result: CorrelateResult, measured: Measured) -> dict[str, Any]:
    """A line of the table; what is undefined stays empty."""
    config = result.config
    row = {
        "estimator": measured.estimator,
        **measured.correlation._asdict(),
        "seconds": measured.seconds,
        "compile_seconds": measured.compile_seconds,
        "together": measured.together,
        "dead": measured.dead,
        "n": len(result.values),
        "available": result.available,
        "space": config.space_name,
        "truth": config.truth,
        "column": config.column,
        "dataset": config.dataset,
        "image_size": result.space.input_shape[0],
        "images": config.images,
        "seeds": config.seeds,
        "seed": config.seed,
        **{name: config.sizes.get(name) for name in ("nodes", "layers", "cells", "channels")},
        "image_shape": "x".join(map(str, result.space.input_shape)),
        "classes": result.space.classes,
        "estimators": config.estimator,
        "sample": config.sample,
        "data_dir": config.data_dir,
    }
    return {name: "" if value is None or value != value else value for name, value in row.items()}
