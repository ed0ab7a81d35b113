"""How far a run is, by its folder alone. Nothing is written, locked or executed there, and JAX is not started."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rwejax.bounds import check_bounds
from rwejax.config import RunConfig
from rwejax.console import duration
from rwejax.errors import InputError
from rwejax.loading import kind_of
from rwejax.objectives import TRAINED_ERROR
from rwejax.runtime.invocation import invocation
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import LABEL
from rwejax.searching.records import Evaluation, Run, front_of, is_finished, read_evaluations
from rwejax.storage.files import CHECKPOINTS, newest_checkpoint
from rwejax.storage.lines import BrokenLine
from rwejax.storage.meta import Meta, read_meta
from rwejax.storage.run_dir import is_in_use
from rwejax.storage.trainings import TrainedNetwork, read_trainings
from rwejax.storage.yaml_config import read_unchecked
from rwejax.training.config import TrainConfig
from rwejax.training.records import Epoch, read_epochs, read_test

_SIZES = ("nodes", "layers", "cells", "channels")


@dataclasses.dataclass(frozen=True)
class Status:
    """What there is to say of a run folder.

    Attributes:
        path: the run folder.
        facts: values by their names.
        damage: a sentence on each thing that is broken or missing.
        command: the command line to copy next; None if something has to be mended first.
    """

    path: Path
    facts: dict[str, str]
    damage: tuple[str, ...]
    command: str | None


def read_status(path: str | Path) -> Status:
    """How far a search or a training is.

    Args:
        path: its run folder, which may be at work, or only to be read.

    Raises:
        InputError: the folder holds no run.
    """
    path = Path(path)
    try:
        kind = kind_of(path)
        return _of_search(path) if kind is Run else _of_training(path)
    except InputError as error:
        if not (path / "config.yaml").is_file():
            raise
        return Status(path, {}, (str(error),), None)  # without the config nothing else can be understood


def _of_search(path: Path) -> Status:
    config = read_unchecked(path, Run.defaults)
    config.validate()
    damage: list[str] = []
    evaluations: list[Evaluation] = _intact(lambda: read_evaluations(path, config), damage)
    meta, used, size = _meta(path, damage), is_in_use(path), config.population_size
    evaluated = len(evaluations) >= config.evaluations
    trained: list[TrainedNetwork] = _intact(lambda: read_trainings(path / Run.trainings), damage)
    finished = evaluated and not damage and is_finished(path, config, evaluations)
    newest = newest_checkpoint(path / CHECKPOINTS)
    fits = (newest or 0) * size <= len(evaluations) and (newest is not None or len(evaluations) <= size)
    if not (used or evaluated or fits or damage):
        damage.append(
            f"there are {len(evaluations)} evaluations and {_checkpoint(newest, 'generation')} of {size} each, which "
            "do not fit: restore the missing files, or start a new run with its config.yaml"
        )
    front = front_of(config, evaluations, trained)
    if labels := sum(each.role == LABEL for each in trained):
        from rwejax.searching.result import read_result  # which imports JAX

        front = next(iter(_intact(lambda: [read_result(path).outcome], damage)), front)
    facts = {
        "search": _what(config) + f", {config.algorithm}",
        "objectives": ", ".join(objective.title for objective in config.objectives),
        "state": _state(used, finished),
        "generations": f"{len(evaluations) // size} of {config.generations}",
        "evaluations": f"{len(evaluations)} of {config.evaluations}",
        "front": f"{len(front.rows)} network{'s' * (len(front.rows) != 1)}",
    }
    if config.calibrate:
        facts["labels"] = f"{labels} of {config.calibrate} networks"
    if expected := meta.get("finally_trained"):
        facts["trained"] = f"{len(trained) - labels} of {expected} networks, {trained[0].epochs} epochs each"
    if len(front.rows):
        best = front.points[front.rows].min(0)
        named = [TRAINED_ERROR, *config.objectives[-len(config.cost_names) :]] if front.final else config.objectives
        facts["best"] = ", ".join(each.write(value) for each, value in zip(named, best, strict=True))
    facts |= _times(meta, sum([each.seconds for each in evaluations] + [each.seconds for each in trained]))
    command = ("train", "--run", path, "--pick", "knee", *config.space_flags) if finished and len(front.rows) else None
    return Status(path, facts, tuple(damage), _command("search", path, config, used, finished, bool(damage), command))


def _of_training(path: Path) -> Status:
    config = read_unchecked(path, TrainConfig())
    check_bounds(config)  # `validate` starts JAX
    damage: list[str] = []
    epochs: list[Epoch] = _intact(lambda: read_epochs(path), damage)
    tests = _intact(lambda: [read_test(path)], damage)
    test = tests[0] if tests else None
    meta, used = _meta(path, damage), is_in_use(path)
    newest = newest_checkpoint(path / CHECKPOINTS)
    if not used and not damage and epochs and (newest is None or newest > len(epochs)):
        damage.append(
            f"there are {len(epochs)} epochs and {_checkpoint(newest, 'epoch')}: restore the missing files, or train "
            "anew with its config.yaml"
        )
    facts = {
        "training": _what(config),
        "architecture": config.architecture,
        "state": _state(used, test is not None),
        "epochs": f"{len(epochs)} of {config.epochs}",
    }
    if epochs:
        last = epochs[-1]
        facts["last epoch"] = (
            f"loss {last.train_loss:.4f}, train {last.train_accuracy:.1f} %, "
            f"validation {last.validation_accuracy:.1f} %"
        )
    if test is not None:
        facts["test accuracy"] = f"{test.test_accuracy:.2f} % of {test.test_images} images"
    facts |= _times(meta, sum(epoch.seconds for epoch in epochs))
    command = ("export", path, Path("exported") / path.name, *config.space_flags)
    done = test is not None
    return Status(path, facts, tuple(damage), _command("train", path, config, used, done, bool(damage), command))


def _intact(read: Callable[[], list[Any]], damage: list[str]) -> list[Any]:
    """What can be read; what cannot is a sentence more in `damage`."""
    try:
        return read()
    except BrokenLine as error:
        damage.append(str(error))
        return error.intact
    except InputError as error:
        damage.append(str(error))
        return []


def _meta(path: Path, damage: list[str]) -> Meta:
    try:
        return read_meta(path)
    except InputError as error:
        damage.append(str(error))
        return {}


def _checkpoint(newest: int | None, step: str) -> str:
    return "no checkpoint" if newest is None else f"a checkpoint of {step} {newest}"


def _what(config: SearchConfig | TrainConfig) -> str:
    sizes = [f"{name} {value}" for name in _SIZES if (value := getattr(config, name)) is not None]
    return ", ".join([f"{config.space_name} on {config.dataset}", *sizes])


def _state(used: bool, finished: bool) -> str:
    if used:
        return "another process is at work on it"
    return "finished" if finished else "not finished, and no process is at work on it"


def _times(meta: Meta, seconds: float) -> dict[str, str]:
    resumed = ", ".join(map(str, meta.get("resume_times", [])))
    named = {"started": meta.get("start_time"), "resumed": resumed, "took": duration(seconds)}
    return {name: str(value) for name, value in named.items() if value}


def _command(
    kind: str,
    path: Path,
    config: RunConfig,
    used: bool,
    finished: bool,
    damaged: bool,
    afterwards: tuple[object, ...] | None,
) -> str | None:
    """What to type next: look again, resume, or what comes after it."""
    if used:
        return invocation("status", path)
    if damaged:
        return None
    if not finished:
        return invocation(kind, "--resume", path, *config.code_flags)
    return None if afterwards is None else invocation(str(afterwards[0]), *afterwards[1:])
