"""The page of several searches, or of several trainings, beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from rwejax.comparing.comparison import Comparison, Group, load_many
from rwejax.errors import InputError
from rwejax.figures import short
from rwejax.loading import kind_of
from rwejax.objectives import TRAINED_ERROR
from rwejax.reporting import facts
from rwejax.reporting.look import (
    DASHES,
    MARKERS,
    SEVERAL,
    Figure,
    Mark,
    add_hover,
    add_legend,
    as_recorded,
    make_figure,
    title,
    whole_numbers,
)
from rwejax.reporting.page import render
from rwejax.searching.records import Run
from rwejax.searching.trained.verdict import judge
from rwejax.storage.files import REPORT
from rwejax.storage.yaml_config import read_stored
from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch, read_epochs, read_test


def make_page(folders: Sequence[Path], page: Path) -> str:
    """The page of several runs.

    Args:
        folders: of searches with the same networks, images and objectives, or of trainings.
        page: where it is going to be, from which its links go to the runs' own pages.

    Raises:
        InputError: a folder holds no run, some hold searches and others trainings, or the searches cannot be compared.
    """
    kinds = {kind_of(folder) for folder in folders}
    if len(kinds) > 1:
        raise InputError("some of the runs are searches and others trainings: give runs of one kind")
    return _of_searches(folders, page) if kinds == {Run} else _of_trainings(folders, page)


def _of_searches(folders: Sequence[Path], page: Path) -> str:
    comparison = load_many(folders)
    config = comparison.config
    rows = [_of_search(page, group, run) for group in comparison.groups for run in range(len(group.results))]
    return render(
        "several.html",
        figures={
            "fronts": _fronts(comparison),
            "hypervolumes": _hypervolumes(comparison),
        },
        kind=f"{len(rows)} searches",
        title=f"{config.space_name} on {short(config.dataset)}",
        headings=["settings", "evaluations", "front", "best error", "hypervolume", "verdict"],
        rows=rows,
        commands=[facts.command("write the hypervolumes as a table", "compare", *folders, *config.space_flags)],
    )


def _of_search(page: Path, group: Group, run: int) -> dict[str, Any]:
    result, volumes = group.results[run], group.hypervolumes[run]
    front = result.outcome
    errors = front.error[front.rows][np.isfinite(front.error[front.rows])]
    first = result.config.objectives[0]
    best = f"{errors.min():.1f} %" if len(errors) else first.write(result.objectives[:, 0].min())
    volume = f"{volumes[~np.isnan(volumes)][-1]:.4g}"
    sentences = judge(result.trained).sentences if front.final else ()
    return {
        "name": result.run_dir.name,
        "link": facts.relative(result.run_dir / REPORT, page),
        "cells": [group.label, str(len(result.evaluations)), str(len(front.rows)), best, volume],
        "text": "; ".join(sentences).replace("+-", "±") or "not trained",
    }


def _hypervolumes(comparison: Comparison) -> Figure:
    """Mean over the runs of each group, and a band of a standard deviation."""
    units = [objective.unit for objective in comparison.config.objectives]
    unit = f" ({' x '.join(units)})" if all(units) else ""
    made = make_figure("evaluations", f"hypervolume{unit}, higher is better", "hypervolumes", height=340)
    legend = []
    for place, group in enumerate(comparison.groups):
        mark, dash = _mark(place), DASHES[place % len(DASHES)]
        source = ColumnDataSource(
            {
                "evaluations": group.evaluations,
                "mean": group.mean,
                "std": group.std,
                "low": group.mean - group.std,
                "high": group.mean + group.std,
            }
        )
        drawn = [
            made.varea("evaluations", "low", "high", source=source, fill_color=mark.color, fill_alpha=0.15),
            made.line("evaluations", "mean", source=source, line_color=mark.color, line_dash=dash, line_width=2),
            made.scatter("evaluations", "mean", source=source, **mark.style),
        ]
        tooltips = [("evaluations", "@evaluations"), ("hypervolume", "@mean{0.0000} ± @std{0.0000}")]
        add_hover(made, drawn[2:], [("", group.label), *tooltips])
        legend.append((f"{group.label}, {len(group.results)}", drawn))
    add_legend(made, legend, columns=1)
    return made


def _fronts(comparison: Comparison) -> Figure:
    """The front of each run: of trained errors, if all have them, or else of what was minimised."""
    results = [each for group in comparison.groups for each in group.results]
    trained = all(each.outcome.final for each in results)
    first, *_, last = comparison.config.objectives
    vertical = TRAINED_ERROR if trained else first
    made = make_figure(title(last), title(vertical), "fronts")
    legend = []
    for place, group in enumerate(comparison.groups):
        mark, drawn = _mark(place), []
        for result in group.results:
            points = (result.outcome.points if trained else result.objectives)[result.outcome.rows]
            x, y = (as_recorded(each, points[:, k]) for each, k in ((last, -1), (vertical, 0)))
            source = ColumnDataSource(
                {
                    "x": x,
                    "y": y,
                    "run": [result.run_dir.name] * len(x),
                    "architecture": [result.evaluations[row].architecture[:70] for row in result.outcome.rows],
                }
            )
            if points.shape[1] == 2:
                drawn.append(made.step("x", "y", source=source, mode="after", line_color=mark.color, line_alpha=0.5))
            drawn.append(made.scatter("x", "y", source=source, **mark.style))
            tooltips = [(last.title, "@x{0.000}"), (vertical.title, "@y{0.000}"), ("architecture", "@architecture")]
            add_hover(made, drawn[-1:], [("", "@run"), *tooltips])
        legend.append((f"{group.label}, {len(group.results)}", drawn))
    add_legend(made, legend, columns=1)
    return made


def _of_trainings(folders: Sequence[Path], page: Path) -> str:
    runs = [(folder, read_stored(folder, TrainConfig()), read_epochs(folder)) for folder in folders]
    rows = []
    for folder, config, epochs in runs:
        test = read_test(folder)
        accuracy = "not tested" if test is None else f"{test.test_accuracy:.2f} % of {test.test_images}"
        validation = f"{epochs[-1].validation_accuracy:.2f} %" if epochs else "-"
        rows.append(
            {
                "name": folder.name,
                "link": facts.relative(folder / REPORT, page),
                "cells": [
                    f"{config.space_name} on {short(config.dataset)}",
                    f"{len(epochs)} of {config.epochs}",
                    validation,
                    accuracy,
                ],
                "text": config.architecture,
            }
        )
    return render(
        "several.html",
        figures={"accuracies": _accuracies([(folder.name, epochs) for folder, _, epochs in runs if epochs])},
        kind=f"{len(rows)} trainings",
        title="Trainings beside each other",
        headings=["network", "epochs", "validation", "test", "architecture"],
        rows=rows,
        commands=[],
    )


def _accuracies(runs: Sequence[tuple[str, Sequence[Epoch]]]) -> Figure | None:
    if not runs:
        return None
    made = make_figure("epoch", "validation accuracy (%), higher is better", "accuracies")
    legend = []
    for place, (name, epochs) in enumerate(runs):
        mark, dash = _mark(place), DASHES[place % len(DASHES)]
        source = ColumnDataSource(
            {"epoch": [each.epoch for each in epochs], "accuracy": [each.validation_accuracy for each in epochs]}
        )
        drawn = [
            made.line("epoch", "accuracy", source=source, line_color=mark.color, line_dash=dash, line_width=2),
            made.scatter("epoch", "accuracy", source=source, **mark.style),
        ]
        add_hover(made, drawn[1:], [("", name), ("epoch", "@epoch"), ("validation", "@accuracy{0.00} %")])
        legend.append((name, drawn))
    whole_numbers(made)
    add_legend(made, legend, columns=1)
    return made


def _mark(place: int) -> Mark:
    return Mark(MARKERS[place % len(MARKERS)], SEVERAL[place % len(SEVERAL)], 8)
