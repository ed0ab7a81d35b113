"""What a comparison writes and prints. Nothing is overwritten."""

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rwejax.comparing.comparison import COLUMNS, Comparison, Group
from rwejax.config import check_figure_format
from rwejax.figures import write
from rwejax.searching.front import find_front
from rwejax.searching.records import Run
from rwejax.searching.trained.verdict import judge
from rwejax.storage.atomic import replacing
from rwejax.storage.output import free_output, writing


def record(comparison: Comparison, output: Path | None = None, figure_format: str = "png") -> tuple[Path, Path]:
    """Write the table, and the figure beside it.

    Args:
        comparison: the searches.
        output: the CSV file, missing; the figure goes to NAME.png beside it. None: runs/compare-SPACE-DATASET.csv, with
            a number where that exists.
        figure_format: png, or svg, of vectors.

    Returns:
        The CSV file, and the figure.

    Raises:
        InputError: a file exists, or cannot be written, or there is no such format.
    """
    check_figure_format(figure_format)
    suffix = f".{figure_format}"
    name = f"compare-{Run.name(comparison.config)}"
    table = free_output(output, name, lambda path: [path, path.with_suffix(suffix)])
    figure = table.with_suffix(suffix)
    with writing(table):
        table.parent.mkdir(parents=True, exist_ok=True)
        with replacing(table) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(comparison.rows())
        write(comparison.plot(), figure)
    return table, figure


def print_comparison(console: Console, comparison: Comparison, output: Path, figure: Path) -> None:
    """Print where each group has got, and where the rest is.

    Args:
        console: where to.
        comparison: the searches.
        output: the table on disk.
        figure: the figure on disk.
    """
    reference = (
        f"{objective.label} {objective.number(value)} {objective.unit}".rstrip()
        for objective, value in zip(comparison.config.objectives, comparison.reference, strict=True)
    )
    console.print(f"hypervolume up to {', '.join(reference)}", style="bold", markup=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("group", overflow="fold")
    for name in ("runs", "evaluations", "mean", "std", "networks\non a front"):
        table.add_column(name, justify="right")
    trained = any(group.trained for group in comparison.groups)
    for name in ("trained for\nepochs", "best trained\nerror, %", "beat\nchance") if trained else ():
        table.add_column(name, justify="right")
    for group in comparison.groups:
        sizes = [len(find_front(result.objectives)) for result in group.results]  # as the hypervolumes have it
        table.add_row(
            group.label,
            str(group.runs[-1]),
            str(group.evaluations[-1]),
            f"{group.mean[-1]:.5g}",
            f"{group.std[-1]:.2g}",
            _range(sizes, "d"),
            *(_trained(group) if trained else ()),
        )
    console.print(table)
    console.print(f"table: {output}", markup=False, soft_wrap=True)
    console.print(f"figure: {figure}", markup=False, soft_wrap=True)


def _trained(group: Group) -> tuple[str, str, str]:
    """For how long the fronts of a group were trained, the best error of each, and how many beat random networks."""
    if not group.trained:
        return "", "", ""
    epochs = [result.trained[0].epochs for result in group.trained]
    better = sum(judge(result.trained).beats_chance is True for result in group.trained)
    return _range(epochs, "d"), _range(group.best_errors.tolist(), ".1f"), f"{better} of {len(group.trained)}"


def _range(values: Sequence[float], form: str) -> str:
    low, high = (format(each, form) for each in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
