"""Seconds an architecture against rank correlation: the papers' protocol in PyTorch, and rwejax's estimators.

Both sides score the same trained networks of each table, on one machine and all of its cores. See the README beside
this file for what either side is given and what it pays for.
"""

import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from parts.command import Result, main, require, write
from parts.report import header, spread
from parts.setting import Setting
from parts.tables import TABLES, Truth, correlation, split

from rwejax.correlating.loop import correlate
from rwejax.correlating.result import CorrelateResult
from rwejax.correlating.statistics import measure as correlation_of
from rwejax.errors import InputError
from rwejax.figures import INK, QUIET, frame


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


def measure(config: Config) -> Result:
    """Measure table by table; each is printed and written as soon as it is there."""
    names = split(config.tables)
    if min(config.batch, config.epochs) < 1:
        raise InputError("batch and epochs are counts: give 1 or more of each")
    require("torch", "bench")
    from parts.peer import gemm_rate
    from parts.torch_protocol import LEARNING_RATE, MOMENTUM

    setting = {**config.recorded, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    result = {**header(setting, "torch", gemm=[gemm_rate() for _ in range(3)]), "tables": {}}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            pair = correlation(
                name,
                config.truth,
                config,
                estimators=config.estimators,
                sample=config.sample,
                seed=config.seed,
                output=Path(folder) / "table.csv",
            )
            ours = correlate(pair)
        protocol = measure_protocol(config, TABLES[name], ours)
        result["tables"][name] = {
            "sample": len(ours.texts),
            "estimators": {
                each.estimator: {
                    "seconds": each.seconds,
                    "times_fewer_seconds": protocol["mean_seconds"] / each.seconds,
                    "compile_seconds": each.compile_seconds,
                    **each.correlation._asdict(),
                }
                for each in ours.measured
            },
            "protocol": protocol,
        }
        print(f"{name} is measured", flush=True)
        write(result, config.output, plot)
    return result


def measure_protocol(config: Config, truth: Truth, ours: CorrelateResult) -> dict[str, Any]:
    """What the papers' protocol takes and reaches on the networks that rwejax's estimators were measured on."""
    from parts.torch_protocol import Protocol

    dataset, space = replace(config, image_size=None).load(truth.space, truth.sizes)
    genomes = np.stack([space.from_string(text) for text in ours.texts])
    scores, seconds = Protocol(dataset, config.batch, config.epochs).accuracies(space, genomes, config.seed)
    macs = space.macs(space.canonical(genomes))
    return {
        "sizes": truth.sizes,
        "macs_millions": spread(macs / 1e6),
        "seconds": spread(seconds),
        "mean_seconds": statistics.mean(seconds),
        "accuracy": spread(scores.tolist()),
        **correlation_of(scores, ours.values, macs, config.seed)._asdict(),
    }


def plot(result: Result, figure: Figure) -> None:
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
            marker, colour = "os^Dv"[number % 5], f"C{number}" if number else INK
            axes.errorbar(each["seconds"], each["spearman"], reach, fmt=marker, color=colour, capsize=3, label=side)
        axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
        axes.set_xscale("log")
        axes.margins(x=0.15)
        axes.set_xlabel("seconds an architecture", color=INK)
        frame(axes, name)
    panels[0].set_ylim(-1, 1)
    panels[0].set_ylabel("Spearman", color=INK)
    labelled = panels[0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside lower center", ncols=5, labelcolor=INK, edgecolor="none")


if __name__ == "__main__":
    sys.exit(main(Config, measure, plot))
