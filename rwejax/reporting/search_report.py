"""The page of one search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rwejax import spaces
from rwejax.figures import short
from rwejax.objectives import COSTS, TRAINED_ERROR
from rwejax.reporting import facts
from rwejax.reporting.drawings import Drawing, draw_networks
from rwejax.reporting.front_figure import make_front_figure
from rwejax.reporting.page import render
from rwejax.reporting.pictures import in_a_row
from rwejax.reporting.search_figures import make_calibration_figure, make_growth_figure, make_hypervolume_figure
from rwejax.searching import history
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import FINALLY, LABEL
from rwejax.searching.images import SAMPLES
from rwejax.searching.observers import PARTS
from rwejax.searching.records import is_finished
from rwejax.searching.result import SearchResult, read_result
from rwejax.searching.trained.verdict import judge
from rwejax.storage.contact_sheet import read_sheet
from rwejax.storage.meta import Meta, read_meta

_MOST_ROWS = 50  # of the table of the front

PARTS_IN_WORDS = {
    "evaluation": "scores and costs",
    "planning": "planning programs",
    "ask": "choosing genomes",
    "tell": "choosing survivors",
    "recording": "writing to disk",
    "other": "compiling, labels and the rest",
}


def make_page(path: Path, at_work: bool, drawings: int) -> tuple[str, list[Drawing]]:
    """The page of a search, as its folder is now, and the drawings that are in it.

    Args:
        path: the run folder.
        at_work: whether another process is at work on it.
        drawings: networks of the front that are drawn at most.

    Raises:
        InputError: the folder holds no search, or is broken.
    """
    result, meta, generations = read_result(path), read_meta(path), history.read(path / history.FILE)
    config, front, samples = result.config, result.outcome, _samples(path, meta)
    finished = is_finished(path, config, result.evaluations)
    whole = len(result.evaluations) >= config.population_size
    shown = make_front_figure(result) if result.evaluations else None
    drawn = _drawings(result, meta, drawings)
    page = render(
        "search.html",
        figures={
            "front": shown.figure if shown else None,
            "hypervolume": make_hypervolume_figure(result, generations) if generations else None,
            "growth": make_growth_figure(result) if whole else None,
            "calibration": make_calibration_figure(result),
        },
        title=f"{config.space_name} on {short(config.dataset)}",
        path=str(path),
        state=_state(result, finished, at_work),
        verdict=judge(result.trained).sentences if front.final else (),
        trained=any(each.role in FINALLY for each in result.trained),
        wants_training=config.trains,
        front=shown,
        knee=_knee(result),
        table=_table(result),
        judgement=None if result.forecast is None else result.forecast.check().judgement,
        labels=sum(each.role == LABEL for each in result.trained),
        drawings=drawn,
        on_front=len(front.rows),
        seconds=_seconds(result, generations),
        samples=samples,
        images=facts.images(meta, config),
        classes=facts.classes(meta),
        dataset=config.dataset,
        options=facts.options(config, SearchConfig()),
        origin=facts.origin(meta),
        commands=_commands(result, finished, at_work),
    )
    return page, drawn


def _state(result: SearchResult, finished: bool, at_work: bool) -> str:
    config, evaluated = result.config, len(result.evaluations)
    if finished:
        return f"finished: {evaluated} evaluations in {config.generations} generations"
    done = f"{evaluated // config.population_size} of {config.generations} generations"
    if evaluated >= config.evaluations:
        done += f", {sum(each.role in FINALLY for each in result.trained)} networks trained at the end"
    return f"{'still at work' if at_work else 'interrupted'}: {done}"


def _knee(result: SearchResult) -> dict[str, str] | None:
    """What the knee of the front can do, in words; None where there is no front."""
    if not len(result.outcome.rows):
        return None
    row = result.pick()
    each = result.evaluations[row]
    costs = [name for name in ("macs", "params", *result.config.cost_names) if name in COSTS]
    values = each.scores | {"macs": each.macs, "params": each.params}
    said = [COSTS[name].write(values[name] / COSTS[name].scale) for name in dict.fromkeys(costs)]
    return {"architecture": each.architecture, "error": _error(result, row), "costs": ", ".join(said)}


def _error(result: SearchResult, row: int) -> str:
    """The best that is known of a network: its trained error, what is predicted, or the score."""
    front, forecast, first = result.outcome, result.forecast, result.config.objectives[0]
    if np.isfinite(front.error[row]):
        return f"{TRAINED_ERROR.label} {_interval(front.error[row], front.standard_error[row])}"
    if forecast is not None:
        return f"predicted error {_interval(forecast.error[row], forecast.std[row])}"
    return first.write(result.objectives[row, 0])


def _interval(value: float, std: float) -> str:
    return f"{value:.1f} ± {std:.1f} %" if np.isfinite(value) else "-"


def _table(result: SearchResult) -> dict[str, Any]:
    """The front as headings and rows, and those that have fallen out when they were trained."""
    front, forecast, config = result.outcome, result.forecast, result.config
    knee = result.pick() if len(front.rows) else -1
    scores = [each for each in config.objectives if not each.cost]
    costs = [COSTS[name] for name in dict.fromkeys(("macs", "params", *config.cost_names))]
    headings = ["error when trained"] * front.final + ["predicted error"] * (forecast is not None)
    headings += [each.title for each in (*scores, *costs)]
    rows = []
    for place, row in enumerate([*front.rows, *(front.fallen if front.final else [])][:_MOST_ROWS], start=1):
        each = result.evaluations[row]
        cells = [_interval(front.error[row], front.standard_error[row])] * front.final
        cells += [_interval(forecast.error[row], forecast.std[row])] if forecast is not None else []
        known = each.scores | {"macs": each.macs, "params": each.params}
        cells += [item.number(item.minimised(known[item.name])) for item in (*scores, *costs)]
        on = place <= len(front.rows)
        rows.append(
            {
                "place": place if on else "",
                "on_front": on,
                "knee": row == knee,
                "cells": cells,
                "architecture": each.architecture,
            }
        )
    return {"headings": headings, "rows": rows}


def _drawings(result: SearchResult, meta: Meta, most: int) -> list[Drawing]:
    """The front's networks; of a large one the knee, the ends, and others evenly between."""
    rows = result.outcome.rows
    if "image_shape" not in meta or "classes" not in meta or not len(rows) or not most:
        return []
    height, width, channels = meta["image_shape"]
    config = result.config
    space = spaces.get(config.space, input_shape=(height, width, channels), classes=meta["classes"], **config.sizes)
    knee = int(np.flatnonzero(rows == result.pick())[0])
    spread = np.linspace(len(rows) - 1, 0, min(most, len(rows))).round().astype(int).tolist()
    chosen = list(dict.fromkeys([knee, *spread]))[: min(most, len(rows))]
    drawn = draw_networks(
        space,
        [
            (
                f"network-{place + 1}.svg",
                f"{place + 1}{' (knee)' * (place == knee)}: {_error(result, rows[place])}",
                result.evaluations[rows[place]].architecture,
            )
            for place in chosen
        ],
    )
    return sorted(drawn, key=lambda each: int(each.name.partition(":")[0].partition(" ")[0]))


def _seconds(result: SearchResult, generations: Sequence[history.Generation]) -> list[facts.Bar]:
    parts = [
        (words, float(np.nansum([each.parts[name] for each in generations])))
        for name, words in PARTS_IN_WORDS.items()
        if name in PARTS
    ]
    trained = sum(each.seconds for each in result.trained if each.role in FINALLY)
    return facts.bars_of_seconds([*parts, ("training at the end", trained)])


def _samples(path: Path, meta: Meta) -> list[tuple[str, str]]:
    """Names of classes, and images of each."""
    sheet = read_sheet(path / SAMPLES)
    if sheet is None:
        return []
    names = meta.get("class_names", [])
    return [(names[row] if row < len(names) else str(row), in_a_row(images)) for row, images in enumerate(sheet)]


def _commands(result: SearchResult, finished: bool, at_work: bool) -> list[facts.Command]:
    path, config, front = result.run_dir, result.config, len(result.outcome.rows)
    again = facts.command("write this page anew, with a drawing of each network", "report", path, *config.space_flags)
    if at_work:
        return [facts.command("see how far it is", "status", path), again]
    if not finished:
        return [facts.command("go on with the search", "search", "--resume", path, *config.code_flags), again]
    if not front:
        return [again]
    space, stored = config.space_flags, path / "config.yaml"
    return [
        facts.command("train the knee for longer, and test it", "train", "--run", path, "--pick", "knee", *space),
        facts.command("draw the first network of the front", "draw", path, "--pick", 1, *space),
        facts.command("search by another seed", "search", "--config", stored, "--seed", config.seed + 1, *space),
        again,
    ]
