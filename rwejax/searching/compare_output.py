"""What a comparison writes and prints. Nothing is overwritten."""

import csv
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rwejax.searching.compare import COLUMNS, Comparison
from rwejax.searching.front import find_front
from rwejax.searching.records import Run
from rwejax.storage.atomic import replacing
from rwejax.storage.output import free_output, writing


def record(comparison: Comparison, output: Path | None = None) -> Path:
    """Write the table, and the figure beside it.

    Args:
        comparison: the searches.
        output: the CSV file, missing; the figure goes to NAME.png beside it. None: runs/compare-SPACE-DATASET.csv, with
            a number where that exists.

    Returns:
        The CSV file.

    Raises:
        InputError: a file exists, or cannot be written.
    """
    table = free_output(output, f"compare-{Run.name(comparison.config)}", lambda path: [path, figure_path(path)])
    with writing(table):
        table.parent.mkdir(parents=True, exist_ok=True)
        with replacing(table) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(comparison.rows())
        with replacing(figure_path(table), "wb") as file:
            comparison.plot().savefig(file, format="png", dpi=160)
    return table


def figure_path(table: Path) -> Path:
    """Where the figure lies that belongs to a table."""
    return table.with_suffix(".png")


def print_comparison(console: Console, comparison: Comparison, output: Path) -> None:
    """Print where each group has got, and where the rest is.

    Args:
        console: where to.
        comparison: the searches.
        output: the table on disk.
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
    for group in comparison.groups:
        sizes = [len(find_front(result.objectives)) for result in group.results]  # as the hypervolumes have it
        table.add_row(
            group.label,
            str(group.runs[-1]),
            str(group.evaluations[-1]),
            f"{group.mean[-1]:.5g}",
            f"{group.std[-1]:.2g}",
            f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}",
        )
    console.print(table)
    console.print(f"table: {output}", markup=False, soft_wrap=True)
    console.print(f"figure: {figure_path(output)}", markup=False, soft_wrap=True)
