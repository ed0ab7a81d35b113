"""Seconds an architecture against rank correlation: the papers' protocol in PyTorch, and rwejax's estimators.

Both sides score the same trained networks of each table, on one machine and all of its cores. See the README beside
this file for what either side is given and what it pays for.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure
from parts.command import require, run, write
from parts.report import describe_machine, format_spread
from parts.setting import Setting
from parts.tables import TABLES, path, split
from rich.console import Console
from rich.table import Table

from rwejax import plots
from rwejax.correlating.config import CorrelateConfig
from rwejax.correlating.loop import correlate
from rwejax.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Config(Setting):
    """Compare seconds an architecture with rank correlation, for the papers' protocol in PyTorch and for rwejax."""

    truth: Path
    """Folder of the tables: nasbench201.csv, nasbench_macro.csv, darts_trained.csv, nasbench301_surrogate.csv."""
    tables: str = ",".join(TABLES)
    """Names of tables."""
    estimators: str = "rwe,rwf,nwot"
    """Names of rwejax's estimators."""
    sample: int = 60
    """Networks of each table."""
    image_size: int | None = 16
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


def main() -> int:
    """Measure, print, write. Returns the exit code: 2 where nothing can be measured."""
    config = tyro.cli(Config, description=__doc__)
    return run(config.output, lambda: measure(config), lambda result: print(describe_machine(result)), plot)


def measure(config: Config) -> dict[str, Any]:
    """Measure table by table; each is printed and written as soon as it is there."""
    names = split(config.tables)
    if min(config.batch, config.epochs) < 1:
        raise InputError("batch and epochs are counts: give 1 or more of each")
    require("torch", "bench")
    from parts.quality import describe, measure_protocol  # only here, because it needs PyTorch

    result = describe(config)
    for name in names:
        sides = measure_estimators(config, name)
        sides["protocol"] = measure_protocol(config, TABLES[name], sides.pop("networks"))
        result["tables"][name] = sides
        show(result, name)
        write(result, config.output, plot)
    return result


def measure_estimators(config: Config, name: str) -> dict[str, Any]:
    """What rwejax's estimators take and reach on a table, and the networks that were drawn."""
    truth = TABLES[name]
    proxy: dict[str, Any] = truth.proxy
    with tempfile.TemporaryDirectory() as folder:
        found = correlate(
            CorrelateConfig(
                space=truth.space,
                truth=path(name, config.truth),
                column=truth.column,
                estimators=config.estimators,
                sample=config.sample,
                seed=config.seed,
                dataset=config.dataset,
                data_dir=config.data_dir,
                image_size=config.image_size,
                **proxy,
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


def show(result: dict[str, Any], name: str) -> None:
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
    Console().print(table)


def plot(result: dict[str, Any], figure: Figure) -> None:
    """Draw a panel a table: seconds along the bottom, rank correlation with its interval up the side."""
    tables = result["tables"]
    figure.set_size_inches(3.2 * len(tables), 3.6)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, tables.items(), strict=True):
        sides = {"papers' protocol": {**found["protocol"], "seconds": found["protocol"]["mean_seconds"]}}
        sides |= found["estimators"]
        # In a legend, because estimators lie too close together for labels beside them.
        for number, (side, each) in enumerate(sides.items()):
            reach = [[each["spearman"] - each["low"]], [each["high"] - each["spearman"]]]
            marker, colour = "os^Dv"[number % 5], f"C{number}" if number else plots._INK
            axes.errorbar(each["seconds"], each["spearman"], reach, fmt=marker, color=colour, capsize=3, label=side)
        axes.axhline(0, color=plots._QUIET, linewidth=0.8, zorder=1)
        axes.set_xscale("log")
        axes.margins(x=0.15)
        axes.set_xlabel("seconds an architecture", color=plots._INK)
        plots._frame(axes, name)
    panels[0].set_ylim(-1, 1)
    panels[0].set_ylabel("Spearman", color=plots._INK)
    labelled = panels[0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside lower center", ncols=5, labelcolor=plots._INK, edgecolor="none")


if __name__ == "__main__":
    sys.exit(main())
