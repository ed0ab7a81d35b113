"""How well a few trained networks predict all others: in tables of trained networks, and by looking up a whole one.

`tables` draws labels from each table and rank-correlates what is predicted of networks without a label, of a half of
the table that no choice of the predictor has seen. `lookup` searches all of NAS-Bench-201, every training looked up:
how far the best network trained so far is from the best there is. Networks are scored by one pass, whose scores are
kept in a folder of parts; so a sitting may end at any time and go on later.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from parts import labelling, lookup
from parts.command import start
from parts.forward_tables import WHOLE, scored
from parts.report import bootstrapped
from parts.tables import TABLES, write

from rwejax.figures import FRONT, INK, QUIET, frame, save

SIX = tuple(TABLES)[:6]
CURVES = {"prior": QUIET, "all": FRONT, "chosen": INK}
"""What the figure of the tables shows, and its colours."""
METHODS = {"random": QUIET, "evolution": "#0e7490", "default score": INK, "predictor": FRONT}
"""What the figure of the lookup shows."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Judge the predictor of trained error by tables of trained networks."""

    truth: Path
    """Folder of nasbench201.csv, nasbench201_all.csv, nasbench_macro.csv, darts_trained.csv and
    nasbench301_surrogate.csv."""
    studies: str = "tables,lookup"
    """What is done."""
    labels: tuple[int, ...] = (4, 8, 16, 24, 32, 48)
    """Trained networks."""
    draws: int = 40
    """Times that labels are drawn, and seeds of the lookup."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels."""
    train_images: int = 500
    """Images that heads are fitted on."""
    validation_images: int = 250
    """Further images."""
    seed: int = 0
    """Draws the images and the weights."""
    parts: Path = Path("runs/predictor")
    """Folder of the scores, which are not computed again."""
    output: Path = Path("runs")
    """Folder of predictor_tables.csv, predictor_lookup.csv and their figures."""


def work(config: Config) -> None:
    """Score what is missing, measure, write, print.

    Raises:
        InputError: something cannot be used.
    """
    config.output.mkdir(parents=True, exist_ok=True)
    for study in config.studies.split(","):
        rows = []
        for row in {"tables": of_tables, "lookup": of_lookup}[study](config):
            rows.append(row)
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        write(config.output / f"predictor_{study}.csv", rows)
        draw, panels = {"tables": (draw_tables, 2), "lookup": (draw_lookup, 1)}[study]
        save(lambda figure, draw=draw, rows=rows: draw(figure, rows), config.output / f"predictor_{study}.png", panels)


def of_tables(config: Config) -> Iterator[dict[str, str]]:
    """A row for each table, variant and number of labels."""
    for name in SIX:
        table = labelling.prepare(scored(name, config.truth, config.parts, config))
        for variant in labelling.VARIANTS:
            for count in config.labels:
                found = [labelling.judge(table, variant, count, draw) for draw in range(config.draws)]
                found = [each for each in found if each is not None]
                if found:
                    row = {"table": name, "variant": variant, "labels": str(count)}
                    for part in found[0]:
                        row |= bootstrapped(part, np.array([each[part] for each in found]), part in ("regret", "mae"))
                    yield row


def of_lookup(config: Config) -> Iterator[dict[str, str]]:
    """A row for each method and number of labels."""
    table = lookup.prepare(scored(WHOLE, config.truth, config.parts, config))
    for method in lookup.METHODS:
        found = np.array([lookup.regrets(table, method, max(config.labels), seed) for seed in range(config.draws)])
        for count in config.labels:
            yield {"method": method, "labels": str(count), **bootstrapped("regret", found[:, count - 1], True)}


def draw_tables(figure: Figure, rows: list[dict[str, str]]) -> None:
    """Spearman by the number of labels, a panel a table."""
    axes = figure.subplots(2, 3, sharex=True)
    for name, panel in zip(SIX, axes.flat, strict=True):
        for variant, colour in CURVES.items():
            mine = [row for row in rows if (row["table"], row["variant"]) == (name, variant)]
            line(panel, mine, "spearman", variant, colour)
        frame(panel, name)
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("labels", color=INK, fontsize=10)
    figure.supylabel("Spearman with the truth", color=INK, fontsize=10)


def draw_lookup(figure: Figure, rows: list[dict[str, str]]) -> None:
    """Regret by the number of labels."""
    axes = figure.add_subplot()
    for method, colour in METHODS.items():
        line(axes, [row for row in rows if row["method"] == method], "regret", method, colour)
    frame(axes, "NAS-Bench-201, all cells: under the best, in points")
    axes.set_xlabel("trained networks", color=INK)
    axes.set_ylabel("regret, points of accuracy", color=INK)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 4)
    axes.legend(frameon=False)


def line(axes: Axes, rows: list[dict[str, str]], name: str, label: str, colour: Any) -> None:
    """A curve over the labels with its interval."""
    x, mean, low, high = ([float(row[key]) for row in rows] for key in ("labels", name, f"{name}_low", f"{name}_high"))
    axes.plot(x, mean, color=colour, label=label, marker="o", markersize=3)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


if __name__ == "__main__":
    sys.exit(start(Config, work))
