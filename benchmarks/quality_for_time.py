"""Seconds an architecture against rank correlation: the papers' protocol in PyTorch, and rwejax's estimators.

Both sides score the same trained networks of each table, on one machine and all of its cores. See the README beside
this file for what either side is given and what it pays for.
"""

import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from parts.report import format_spread
from parts.setting import describe_machine
from rich.console import Console
from rich.table import Table

from rwejax import plots
from rwejax.config import CorrelateConfig
from rwejax.correlate import correlate
from rwejax.errors import InputError
from rwejax.parallel import use_all_cores

TABLES = {
    "nasbench201": ("nasbench201", "nasbench201.csv", "cifar10_accuracy", {"cells": 5, "channels": 16}),
    "nasbench_macro": ("nasbench_macro", "nasbench_macro.csv", "cifar10_accuracy", {"channels": 32}),
    "darts_trained": ("darts", "darts_trained.csv", "cifar10_accuracy_50_epochs", {"layers": 8, "channels": 16}),
    "nasbench301_surrogate": (
        "darts",
        "nasbench301_surrogate.csv",
        "nb301_accuracy",
        {"layers": 8, "channels": 16},
    ),
}
"""Space, file and column of each table, and the sizes of its networks in the papers' protocol: those that were trained,
and for DARTS those of its own search."""


@dataclass(frozen=True)
class Config:
    """Hold seconds an architecture against rank correlation, for the papers' protocol in PyTorch and for rwejax."""

    truth: Path
    """Folder of the tables: nasbench201.csv, nasbench_macro.csv, darts_trained.csv, nasbench301_surrogate.csv."""
    tables: str = ",".join(TABLES)
    """Names of tables."""
    estimators: str = "rwe,rwf,nwot"
    """Names of rwejax's estimators."""
    sample: int = 60
    """Networks of each table."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width that rwejax resizes to, in pixels; the papers' protocol takes the images as they are."""
    train_images: int = 2000
    """Images that the papers' protocol trains the head on."""
    validation_images: int = 1000
    """Images that the papers' protocol judges it on."""
    batch: int = 128
    """Images of a batch in the papers' protocol."""
    epochs: int = 30
    """Epochs of the head in the papers' protocol."""
    seed: int = 0
    """Draws the networks, the images and the weights."""
    output: Path | None = None
    """JSON file for the results; a figure goes beside it."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The config as a result states it."""
        left_out = "data_dir", "output", "truth"
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}

    @property
    def refusal(self) -> str | None:
        """Why nothing can be measured, or None."""
        if unknown := [table for table in self.tables.split(",") if table not in TABLES]:
            return f"table {unknown[0]!r} is unknown: choose from {', '.join(TABLES)}"
        if min(self.batch, self.epochs) < 1:
            return "batch and epochs are counts: give 1 or more of each"
        if importlib.util.find_spec("torch") is None:
            return "PyTorch is missing, the side to compare with: pip install 'rwejax[bench]'"
        if self.output is not None and not self.output.absolute().parent.is_dir():
            return f"output {str(self.output)!r} lies in a folder that does not exist: make it first"
        return None


def main() -> int:
    """Measure, print, write after every table. Returns the exit code: 2 where nothing can be measured."""
    config = tyro.cli(Config, description=__doc__)
    if config.refusal is not None:
        print(config.refusal, file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    use_all_cores()
    from parts.quality import describe, measure_protocol  # only here, because it needs PyTorch

    console = Console()
    result = describe(config, load)
    try:
        for name in config.tables.split(","):
            sides = measure_estimators(config, name)
            space, _, _, sizes = TABLES[name]
            sides["protocol"] = measure_protocol(config, space, sizes, sides.pop("networks"))
            result["tables"][name] = sides
            show(result, name, console)
            if config.output is not None:
                config.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
                plot(result, config.output.with_suffix(".png"))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for line in describe_machine(result):
        console.print(line)
    return 0


def measure_estimators(config: Config, name: str) -> dict[str, Any]:
    """What rwejax's estimators take and reach on a table, and the networks that were drawn."""
    space, file, column, _ = TABLES[name]
    with tempfile.TemporaryDirectory() as folder:
        found = correlate(
            CorrelateConfig(
                space=space,
                truth=config.truth / file,
                column=column,
                estimators=config.estimators,
                sample=config.sample,
                seed=config.seed,
                dataset=config.dataset,
                data_dir=config.data_dir,
                image_size=config.image_size,
                output=Path(folder) / "table.csv",
            )
        )
    estimators = {
        each.estimator: {
            "seconds": each.seconds,
            "compile_seconds": each.compile_seconds,
            **each.correlation._asdict(),
        }
        for each in found.measured
    }
    networks = dict(zip(found.texts, found.values.tolist(), strict=True))
    return {"networks": networks, "sample": len(networks), "estimators": estimators}


def show(result: dict[str, Any], name: str, console: Console) -> None:
    """Print a table's results."""
    found = result["tables"][name]
    protocol = found["protocol"]
    table = Table(title=f"{name}, {found['sample']} networks")
    table.add_column("side")
    for column in "seconds an architecture", "Spearman (95 %)", "times fewer seconds", "compilation":
        table.add_column(column, justify="right")
    row = f"{protocol['spearman']:.2f} ({protocol['low']:.2f} to {protocol['high']:.2f})"
    table.add_row("papers' protocol, PyTorch", format_spread(protocol["seconds"]), row, "", "")
    for estimator, each in found["estimators"].items():
        table.add_row(
            f"rwejax, {estimator}",
            f"{each['seconds']:.3f}",
            f"{each['spearman']:.2f} ({each['low']:.2f} to {each['high']:.2f})",
            f"{protocol['mean_seconds'] / each['seconds']:.0f}",
            f"{each['compile_seconds']:.1f} s",
        )
    console.print(table)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw a panel a table: seconds along the bottom, rank correlation with its interval up the side."""
    tables = result["tables"]
    figure = Figure(figsize=(3.2 * len(tables), 3.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, tables.items(), strict=True):
        protocol = found["protocol"]
        sides = {"papers' protocol": (protocol["mean_seconds"], protocol)}
        sides |= {estimator: (each["seconds"], each) for estimator, each in found["estimators"].items()}
        for side, (seconds, each) in sides.items():
            colour = plots._INK if side == "papers' protocol" else plots._FRONT
            reach = [[each["spearman"] - each["low"]], [each["high"] - each["spearman"]]]
            axes.errorbar([seconds], [each["spearman"]], reach, fmt="o", color=colour, capsize=3, zorder=3)
            right = side == "papers' protocol"
            axes.annotate(
                side,
                (seconds, each["spearman"]),
                (-6 if right else 6, 4),
                textcoords="offset points",
                ha="right" if right else "left",
                color=colour,
                fontsize=9,
            )
        axes.axhline(0, color=plots._QUIET, linewidth=0.8, zorder=1)
        axes.set_xscale("log")
        axes.margins(x=0.25)
        axes.set_xlabel("seconds an architecture", color=plots._INK)
        plots._frame(axes, name)
    panels[0].set_ylim(-1, 1)
    panels[0].set_ylabel("Spearman", color=plots._INK)
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    sys.exit(main())
