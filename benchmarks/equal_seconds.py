"""The best trained networks for so many seconds: searches, calibrated searches, random networks, evolution.

Every run is a process of its own with all cores and an empty cache of compilations, and all of its seconds count. A
search takes what it takes, with and without calibration; the longer of the two times is what random networks and a
regularised evolution of the same seed have. All train alike, on the same images. Runs are on disk when they end, so
that a sitting may end at any time; the same command goes on, and only prints where nothing is missing.
"""

import dataclasses
import itertools
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from parts import timed_ways
from parts.command import start
from parts.report import cpu_model
from parts.setting import Setting
from parts.tables import read, write
from parts.timed_ways import BRIEF, TRAINED, WAYS, Task
from parts.trained_fronts import (
    SETTING,
    Row,
    distinct,
    grouped,
    measured,
    points_of,
    setting_of,
    summary,
)

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.figures import FRONT, INK, QUIET, frame, save
from rwejax.runtime.devices import cores
from rwejax.searching.front import find_front
from rwejax.storage.trainings import read_trainings

COLOURS = {"search": "#0e7490", "calibrated": FRONT, "random": QUIET, "evolution": INK}


@dataclass(frozen=True)
class Config(Setting):
    """Compare what several ways find in equal seconds."""

    space: str = "macro"
    """Search space."""
    nodes: int | None = None
    """Nodes of a phase, in the macro space; sizes that are not given are a search's."""
    layers: int | None = None
    """Cells of a network, in the micro and darts spaces."""
    cells: int | None = None
    """Cells of a stage, in NAS-Bench-201."""
    channels: int | None = None
    """Channels of the first maps."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""
    train_images: int = 5000
    """Images that networks are trained on, and that a search looks at."""
    validation_images: int = 2000
    """Images that their error is taken on, which no training sees."""
    epochs: int = 8
    """Epochs of a training."""
    seeds: str = "0,1,2"
    """Seeds with commas between them; each draws the images and all else."""
    generations: int = 6
    """Generations of a search."""
    population_size: int = 40
    """Genomes of a generation."""
    calibrate: int = 8
    """Labels of the calibrated search."""
    evolution_population: int = 10
    """Networks that are alive in the evolution; this and the tournament are those of NAS-Bench-201's paper."""
    tournament: int = 3
    """Networks that a parent is the best of."""
    brief_epochs: int = 2
    """Epochs after which the evolution judges a network."""
    parts: Path = Path("runs/equal_seconds")
    """Folder of the runs."""
    output: Path = Path("runs/equal_seconds.csv")
    """CSV file of the runs; beside it NAME.networks.csv has a line a trained network, and NAME.png is the figure."""
    summarise: bool = False
    """Run nothing: measure what the CSV files have, print and draw it."""

    @property
    def networks(self) -> Path:
        """CSV file of the trained networks."""
        return self.output.with_suffix(".networks.csv")

    @property
    def columns(self) -> Row:
        """What tells which runs can be compared."""
        here = {"cpu": cpu_model(), "cores": cores(), "jax": jax.__version__}
        sizes = " ".join(f"{name} {size}" for name, size in spaces.sizes_of(self).items())
        values = vars(self) | here | {"sizes": sizes}
        return {name: "" if values[name] is None else str(values[name]) for name in SETTING}

    def task(self, way: str, seed: int, seconds: float | None) -> Task:
        """What the process of a run is told."""
        mine = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(Task) if hasattr(self, field.name)
        }
        return Task(
            **mine
            | {
                "way": way,
                "seed": seed,
                "seconds": seconds,
                "sizes": spaces.sizes_of(self),
                "data_dir": None if self.data_dir is None else str(self.data_dir),
                "folder": str(self.parts.absolute() / "unfinished"),
            }
        )


def work(config: Config) -> None:
    """Run what is missing, measure, print, draw.

    Raises:
        InputError: something cannot be used, or a run fails.
    """
    if not config.summarise:
        run_missing(config)
    runs, networks = read(config.output), read(config.networks)
    if not runs:
        raise InputError(f"output {str(config.output)!r} has no runs: leave --summarise out to make some")
    runs = measured(runs, networks)
    write(config.output, runs)
    for setting, mine in grouped(runs):
        print("\n" + ", ".join(f"{name} {value}" for name, value in zip(SETTING, setting, strict=True) if value))
        for line in summary(mine):
            print(line)
    save(lambda figure: draw(figure, runs, networks), config.output.with_suffix(".png"), 2)


def run_missing(config: Config) -> None:
    """Run what has no row yet; each run has one as soon as it has ended.

    Raises:
        InputError: something cannot be used, or a run fails.
    """
    counts = "epochs", "generations", "calibrate", "evolution_population", "tournament", "brief_epochs"
    if wrong := [name for name in counts if getattr(config, name) < 1]:
        raise InputError(f"{wrong[0]} is {getattr(config, wrong[0])}: give 1 or more")
    if not all(seed.isdecimal() for seed in config.seeds.split(",")):
        raise InputError(f"seeds {config.seeds!r} are no numbers with commas between them: give some, such as 0,1,2")
    columns, loaded = config.columns, False
    for seed in map(int, config.seeds.split(",")):
        seconds: dict[str, float] = {}
        for way in WAYS:
            runs = [row for row in read(config.output) if setting_of(row) == setting_of(columns)]
            known = [row for row in runs if (row["way"], row["seed"]) == (way, str(seed))]
            if not known:
                if not loaded:  # decoded images are kept, and the first run is to find them as the others do
                    config.load(config.space, spaces.sizes_of(config))
                    loaded = True
                limit = max(seconds.values()) if way in ("random", "evolution") else None
                known = [run(config, columns, config.task(way, seed, limit))]
            if way in ("search", "calibrated"):
                seconds[way] = float(known[0]["seconds"])


def run(config: Config, columns: Row, task: Task) -> Row:
    """Run a way, and add its row and its networks to the CSV files."""
    folder, load = Path(task.folder), os.getloadavg()[0]
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted
    seconds = timed_ways.run(task)
    found, brief = distinct(read_trainings(folder / TRAINED)), read_trainings(folder / BRIEF)
    ends = columns | {"way": task.way, "seed": str(task.seed)}
    networks = [
        ends
        | {
            "role": each.role,
            "architecture": each.architecture,
            "macs": str(each.macs),
            "error": f"{each.validation_error:.4f}" if np.isfinite(each.validation_error) else "",
        }
        for each in found
    ]
    row = ends | {
        "seconds": f"{seconds:.2f}",
        "limit_seconds": "" if task.seconds is None else f"{task.seconds:.2f}",
        "networks": str(sum(each.role != "plain" for each in found)),
        "brief_trainings": str(len(brief)),
        "load_before": f"{load:.2f}",
    }
    others = [each for each in read(config.networks) if {**each, **ends} != each]
    if others + networks:
        write(config.networks, others + networks)
    runs = read(config.output)
    write(config.output, measured([*runs, row], others + networks))
    name = f"{task.dataset}-{task.space}-{task.way}-{task.seed}".replace("/", "_")
    kept = next(path for n in itertools.count(1) if not (path := folder.with_name(f"{name}-{n}")).exists())
    folder.rename(kept)
    print(f"{task.way}, seed {task.seed}: {seconds:.1f} s, {row['networks']} networks, in {kept}", flush=True)
    return row


def draw(figure: Figure, runs: list[Row], networks: list[Row]) -> None:
    """A row of panels a setting: the networks of each way with the front of each seed, and the hypervolumes."""
    settings = list(grouped(runs))
    figure.set_size_inches(16, 3.6 * len(settings))
    for axes, (setting, mine) in zip(figure.subplots(len(settings), 5, squeeze=False), settings, strict=True):
        for panel, way in zip(axes, WAYS, strict=False):
            if panel is not axes[0]:
                panel.sharex(axes[0])
                panel.sharey(axes[0])
            theirs = [row for row in networks if setting_of(row) == setting and row["way"] == way]
            draw_way(panel, theirs, COLOURS[way])
            frame(panel, way)
            panel.set_xlabel("multiply-adds, millions", color=INK)
        axes[0].set_ylabel(f"validation error, %\n{setting[0]}, {setting[1]}, {setting[2]}", color=INK)
        draw_volumes(axes[-1], mine)


def draw_way(axes: Axes, networks: list[Row], colour: str) -> None:
    """Error against macs, and a line for the front of each seed."""
    points = points_of(networks)
    axes.scatter(points[:, 1] / 1e6, points[:, 0], s=9, color=colour, alpha=0.5, linewidths=0)
    for seed in dict.fromkeys(row["seed"] for row in networks):
        found = points_of(row for row in networks if row["seed"] == seed)
        best = found[find_front(found)]
        axes.plot(best[:, 1] / 1e6, best[:, 0], color=colour, drawstyle="steps-post", linewidth=1)


def draw_volumes(axes: Axes, runs: list[Row]) -> None:
    """The hypervolume of each seed, and their mean."""
    for place, way in enumerate(WAYS):
        values = [float(row["hypervolume"]) for row in runs if row["way"] == way and row["hypervolume"]]
        if values:
            axes.scatter([place] * len(values), values, s=14, color=COLOURS[way], alpha=0.6, linewidths=0)
            axes.hlines(np.mean(values), place - 0.3, place + 0.3, color=COLOURS[way])
    axes.set_xticks(range(len(WAYS)), list(WAYS), fontsize=8)
    frame(axes, "hypervolume, each seed and mean")


if __name__ == "__main__":
    sys.exit(start(Config, work))
