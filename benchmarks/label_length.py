"""How long a label must be trained: brief trainings against the published accuracies of the same networks.

The same random networks of each table are trained for several numbers of images. Do brief trainings order them as long
ones do, by which of the numbers that a training leaves, and what does a predictor fitted to these know of all other
networks? The briefest trainings of all tables come first. Every training is on disk when it ends, in a folder of parts,
so that a sitting may end at any time; the same command goes on, and prints what is complete.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from parts import labelling, truths
from parts.command import start
from parts.forward_tables import Scored, scored
from parts.report import bootstrapped
from parts.tables import split, write

import rwejax
from rwejax import data
from rwejax.errors import InputError
from rwejax.evaluate import predictor, trust
from rwejax.evaluate.population import Recipe, train_population
from rwejax.figures import FRONT, INK, QUIET, SHADES, frame, save
from rwejax.storage.trainings import read_trainings


@dataclass(frozen=True, kw_only=True)
class Config:
    """Compare brief trainings of a table's networks with their published accuracies."""

    truth: Path
    """Folder of nasbench201.csv and darts_trained.csv."""
    tables: str = "nasbench201,darts_trained,macro,micro"
    """Names of tables with commas between them."""
    budgets: tuple[int, ...] = (16_000, 36_000, 72_000, 150_000, 300_000, 600_000)
    """Images that a network sees in a training, all epochs together; whole epochs are trained."""
    networks: int = 32
    """Networks that are trained, drawn at random."""
    labels: tuple[int, ...] = (8, 16, 32)
    """Of these networks, those that a predictor is fitted to."""
    draws: int = 40
    """Times that they are drawn."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int = 16
    """Height and width to resize to, in pixels."""
    train_images: int = 5000
    """Images that networks are trained on."""
    validation_images: int = 2000
    """Images that their error is taken on."""
    seed: int = 0
    """Draws the networks, the images and the weights."""
    parts: Path = Path("runs/label_length")
    """Folder of the trainings, and of the scores of a pass."""
    output: Path = Path("runs/label_length.csv")
    """CSV file for the results; a figure goes beside it."""
    train: bool = True
    """Train what is missing; otherwise measure the tables and budgets all of whose trainings are on disk."""


ERROR = "validation error"
LABELS = {ERROR: "validation_error", "validation loss": "validation_loss", "train loss": "train_loss"}
"""What a training leaves that can be a label; less is better. The train loss is that of the last epoch, on images as
they were changed, while the weights moved: Ru et al., "Speedy performance estimation for neural architecture search",
NeurIPS 2021, section 3 (TSE-E with E = 1)."""
COLOURS = INK, FRONT, SHADES(0.7)

WORST = 100.0  # in % or nats, of a network that has diverged, or through which no path leads


class Labelled(NamedTuple):
    """Networks of a table that are trained.

    Attributes:
        name: of the table.
        known: all its networks, with their scores.
        study: these, with what a pass knows of them.
        rows: of those that are trained.
    """

    name: str
    known: Scored
    study: labelling.Study
    rows: np.ndarray


@dataclass(frozen=True)
class ScoresSetting:
    """The images that a pass looks at: those of a search, and of `predictor.py`, whose scores are as good."""

    dataset: str
    data_dir: Path | None
    image_size: int
    seed: int
    train_images: int = 500
    validation_images: int = 250


def work(config: Config) -> None:
    """Train what is missing, measure, write, print.

    Raises:
        InputError: something cannot be used.
    """
    if min(config.labels) < 1 or max(config.labels) > config.networks:
        raise InputError(f"labels are {config.labels}: give 1 to {config.networks}, which is networks")
    if min(config.budgets) < config.train_images:
        raise InputError(f"budgets are {config.budgets}: give {config.train_images} or more, an epoch")
    tables = [prepare(config, name) for name in split(config.tables)]
    names = [table.name for table in tables]
    dataset = data.load_named(config)
    rows: list[dict[str, str]] = []
    for budget in (None, *sorted(config.budgets)):
        for table in tables:
            found = of_table(table, config) if budget is None else of_budget(table, config, budget, dataset)
            for row in found:
                print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                rows.append(row)
            rows.sort(key=lambda row: names.index(row["table"]))
            write(config.output, rows)
            save(lambda figure: draw(figure, rows), config.output.with_suffix(".png"), 2)


def scores_setting(config: Config) -> ScoresSetting:
    """The images that the pass looks at."""
    return ScoresSetting(config.dataset, config.data_dir, config.image_size, config.seed)


def prepare(config: Config, name: str) -> Labelled:
    """A table, and which of its networks are trained."""
    known = scored(name, config.truth, config.parts, scores_setting(config))
    study = labelling.prepare(known)
    rows = np.random.default_rng(config.seed).permutation(len(study.accuracy))[: config.networks]
    return Labelled(name, known, study, rows)


def of_table(table: Labelled, config: Config) -> Iterator[dict[str, str]]:
    """A row for each number of labels, which are the published accuracies."""
    errors = 100 - table.study.accuracy[table.rows]
    return of_labels(table, config, errors, {"images": "published", "seconds_of_a_network": "", "label": ERROR})


def of_budget(table: Labelled, config: Config, budget: int, dataset: data.Dataset) -> Iterator[dict[str, str]]:
    """A row for each kind of label and number of labels, which are trainings of so many images."""
    epochs = round(budget / config.train_images)
    recipe = Recipe(epochs=epochs, seed=config.seed)
    path = config.parts / f"{table.name}-{config.dataset}-{config.image_size}-{epochs}-{config.seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    space, genomes = table.known.space, table.known.genomes[table.rows]
    texts = {space.to_string(genome) for genome in np.asarray(space.canonical(genomes))}
    if not config.train and not texts <= {each.architecture for each in read_trainings(path)}:
        return
    trained = train_population(space, genomes, dataset, recipe, path=path, on_trained=truths.tell)
    seconds = np.median([each.seconds for each in trained])
    about = {"images": str(epochs * config.train_images), "seconds_of_a_network": f"{seconds:.1f}"}
    for label, field in LABELS.items():
        values = np.fmin([getattr(each, field) for each in trained], WORST)
        yield from of_labels(table, config, values, {**about, "label": label})


def of_labels(table: Labelled, config: Config, labels: np.ndarray, about: dict[str, str]) -> Iterator[dict[str, str]]:
    """How labels agree with the published order, and what some of them tell of all networks that have none."""
    rows, accuracy, known = table.rows, table.study.accuracy, table.study.tables["default"]
    agreement = trust.correlation(-labels, accuracy[rows])
    others = np.setdiff1d(np.arange(len(accuracy)), rows)
    for count in sorted(config.labels):
        found = []
        for number in range(config.draws if count < len(rows) else 1):
            some = np.random.default_rng([number, count]).permutation(len(rows))[:count]
            normal = predictor.fit(known, rows[some], labels[some]).predict(known).normal
            found.append(trust.correlation(normal[others], accuracy[others]))
        columns = bootstrapped("predictor", np.array([each.spearman for each in found]))
        if len(found) == 1:  # of all labels there is one draw, and the interval is that of the networks
            columns |= {"predictor_low": f"{found[0].low:.4f}", "predictor_high": f"{found[0].high:.4f}"}
        yield {
            "table": table.name,
            **about,
            "networks": str(len(rows)),
            "default_score": f"{trust.correlation(known.prior, accuracy).spearman:.4f}",
            "agreement": f"{agreement.spearman:.4f}",
            "agreement_low": f"{agreement.low:.4f}",
            "agreement_high": f"{agreement.high:.4f}",
            "labels": str(count),
            **columns,
        }


def draw(figure: Figure, rows: list[dict[str, str]]) -> None:
    """Spearman by images seen, a column a table: above of the labels, below of what the most of them predict."""
    figure.set_size_inches(14.4, 7.2)
    tables = list(dict.fromkeys(row["table"] for row in rows))
    seen = sorted({int(row["images"]) for row in rows if row["images"] != "published"})
    most = max((row["labels"] for row in rows), key=int)
    panels = figure.subplots(2, len(tables), sharex=True, sharey=True, squeeze=False)
    for n, name in enumerate(tables):
        mine = [row for row in rows if (row["table"], row["labels"]) == (name, most)]
        for panel, column in zip(panels[:, n], ("agreement", "predictor"), strict=True):
            for label, colour in zip(LABELS, COLOURS, strict=True):
                found = [row for row in mine if row["images"] != "published" and row["label"] == label]
                x, y = ([float(row[each]) for row in found] for each in ("images", column))
                panel.plot(x, y, color=colour, marker="o", markersize=3, label=label)
            frame(panel, name if column == "agreement" else "")
        panels[1, n].axhline(float(mine[0]["predictor"]), color=INK, linestyle=":", label="published accuracy")
        panels[1, n].axhline(float(mine[0]["default_score"]), color=QUIET, linestyle="--", label="none: default score")
    if seen:  # otherwise none of the trainings has ended yet
        panels[0, 0].set_xscale("log")
        panels[0, 0].set_xticks(seen, [f"{each:,}" for each in seen])
        panels[0, 0].minorticks_off()
    panels[0, 0].set_ylabel(f"{mine[0]['networks']} labels with the published accuracies", color=INK)
    panels[1, 0].set_ylabel(f"predicted by {most} labels, all others", color=INK)
    panels[1, 0].legend(frameon=False, fontsize=8)
    figure.supylabel("Spearman", color=INK, fontsize=10)
    figure.supxlabel("images that a network has seen", color=INK, fontsize=10)


if __name__ == "__main__":
    rwejax.use_all_cores()
    sys.exit(start(Config, work))
