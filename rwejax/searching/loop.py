"""The loop: ask for genomes, evaluate them, tell the scores, record everything."""

import contextlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization
from jaxtyping import Int

from rwejax.errors import InputError
from rwejax.evaluate.scoring import Scored
from rwejax.runtime import collectives, devices
from rwejax.runtime.environment import describe_machine, resumed
from rwejax.runtime.observer import closing
from rwejax.runtime.signals import uninterrupted
from rwejax.runtime.stopwatch import Stopwatch, part
from rwejax.searching.calibration import Calibration
from rwejax.searching.config import SearchConfig
from rwejax.searching.images import SAMPLES, load_searched, moved, record_move
from rwejax.searching.observers import PARTS, SearchObserver, make_progress
from rwejax.searching.old_runs import of_format
from rwejax.searching.records import Evaluation, Run
from rwejax.searching.result import SearchResult, from_text, make_result, objectives_of, read_genomes, to_text
from rwejax.searching.task import Task
from rwejax.searching.trained.final_training import train_finalists
from rwejax.storage.contact_sheet import write_sheet
from rwejax.storage.files import CHECKPOINTS, newest_checkpoint
from rwejax.storage.run_dir import check_free
from rwejax.storage.yaml_config import from_yaml, to_yaml


def search(config: SearchConfig, observers: Sequence[SearchObserver] = ()) -> SearchResult:
    """Search for architectures of low random-weight error and few multiply-adds.

    Everything is recorded in a run folder, which `resume` continues. On an interruption the folder keeps all
    finished generations, and `KeyboardInterrupt` goes on to the caller.

    On several hosts, see `rwejax.connect`, all of them make this call and get the same result; the first has the run
    folder and the observers.

    Args:
        config: what is searched, and how.
        observers: are told of the progress, and closed at the end.

    Returns:
        All evaluations and their front. It is a function of the config, up to the times.

    Raises:
        InputError: something in the config cannot be used.

    Examples:
        >>> import tempfile
        >>> from rwejax import SearchConfig, search
        >>> config = SearchConfig(nodes=2, channels=4, train_images=100, validation_images=50, population_size=4,
        ...                       generations=2, training_minutes=0, run_dir=tempfile.mkdtemp())
        >>> result = search(config)
        >>> result.genomes.shape, result.objectives.shape
        ((8, 6), (8, 2))
        >>> best = result.genomes[result.front[-1]]  # of the lowest error
    """
    config.validate()
    config = config.resolved()
    if devices.follows():
        return _follow(config)
    check_free(config.run_dir)
    collectives.text_of_first_host(to_yaml(config))
    task = Task(config)
    with Run.create(task.config) as run, closing(observers):
        run.write_meta({**describe_machine(config.seed), **task.images})
        _write_samples(run, task)
        return _ended(_finish(run, task, [], observers), observers)


def resume(
    run_dir: str | Path,
    observers: Sequence[SearchObserver] = (),
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
) -> SearchResult:
    """Resume a search from its run folder, however it ended, on as many hosts as there are now.

    Args:
        run_dir: the run folder; of several hosts only the first needs it.
        observers: are told of the progress, and closed at the end.
        dataset: where the same images lie now, if they were moved, such as folder:PATH; the run folder keeps it.
        data_dir: likewise, of a set of TensorFlow Datasets.

    Returns:
        What an uninterrupted `search` would have returned. A finished run is only read.

    Raises:
        InputError: the folder holds no run, or is broken, or another process works on it, or the images have changed.
    """
    if devices.follows():
        return _follow(None)
    with Run.open(run_dir) as run, closing(observers):
        evaluations, meta = run.evaluations(), run.read_meta()
        if len(evaluations) < run.config.evaluations and (config := of_format(run.config, meta)) != run.config:
            run.replace_config(config)
        config = moved(run.config, meta, dataset, data_dir)
        if run.finished(evaluations):
            if config != run.config:
                load_searched(config, meta)
                record_move(run, config)
            collectives.text_of_first_host("")
            # A kill may have come before the front was written; a folder that may only be read is no reason to refuse.
            result = make_result(run.config, run.path, evaluations, run.trained())
            with contextlib.suppress(OSError):
                run.write_front(result.evaluations, result.trained, result.forecast)
                if not _figure(result).exists():
                    _draw(result)
            for observer in observers:
                observer.on_start(run.config, run.path, run.config.generations)
            return _ended(result, observers)
        run.check_writable()
        make_result(run.config, run.path, evaluations)  # what is wrong with a line is answered before there is work
        _check_checkpoint(run, evaluations)
        collectives.text_of_first_host(to_yaml(config))
        task = Task(config, meta)
        evaluations, _ = read_genomes(run.path, evaluations, task.space)
        if config != run.config:
            record_move(run, config)
            meta = run.read_meta()
        run.write_meta(resumed({**task.images, **meta}, config.seed))
        _write_samples(run, task)
        return _ended(_finish(run, task, evaluations, observers), observers)


def _follow(config: SearchConfig | None) -> SearchResult:
    """Evaluate, with the first host, what that one asks for.

    Args:
        config: the search as this host was told it; None if it was not.
    """
    text = collectives.text_of_first_host("")
    if text:  # else there is nothing left to do
        first = from_yaml(text, SearchConfig())
        names = [] if config is None else first.differences(config)
        if names:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in names)
            raise InputError(f"host {jax.process_index()} differs from host 0 in {flags}: give all hosts the same")
        task = Task(first)
        nothing = np.zeros((first.population_size, len(task.space.lower)), np.int32)
        for _ in range(int(collectives.every_host(0)[0])):
            task.evaluate(nothing)
            if first.calibrate:
                task.trainer.follow()
        if first.trains:
            task.trainer.follow()
    return from_text(collectives.text_of_first_host(""))


def _ended(result: SearchResult, observers: Sequence[SearchObserver]) -> SearchResult:
    """Give the result to the hosts that follow, then to the observers."""
    if jax.process_count() > 1:
        collectives.text_of_first_host(to_text(result))
    for observer in observers:
        observer.on_end(result)
    return result


def _finish(run: Run, task: Task, evaluations: list[Evaluation], observers: Sequence[SearchObserver]) -> SearchResult:
    """Run all generations that are missing."""
    config = run.config
    generation, state = _recover(run, task, evaluations)
    del evaluations[generation * config.population_size :]
    run.cut(len(evaluations))
    with run.writing():
        task.costs.load(run.path)
    _complete_history(run, task, evaluations, generation)
    collectives.every_host(config.generations - generation)
    for observer in observers:
        observer.on_start(config, run.path, generation)
        if generation < config.generations:
            observer.on_images(task.summary)
    try:
        _run_generations(run, task, evaluations, generation, state, observers)
        if config.trains:
            found = make_result(config, run.path, evaluations, run.trained())
            train_finalists(run, task.trainer, evaluations, found.genomes, found.minimised, observers)
    finally:
        # After an interruption too, and then of what is on disk: the last generation may not have got there.
        with uninterrupted():
            result = make_result(run.config, run.path, run.evaluations(), run.trained())
            if result.evaluations:
                with run.writing():
                    run.write_front(result.evaluations, result.trained, result.forecast)
                    _draw(result)
    return result


def _write_samples(run: Run, task: Task) -> None:
    if not (run.path / SAMPLES).exists():
        with run.writing():
            write_sheet(run.path / SAMPLES, task.samples)


def _run_generations(
    run: Run,
    task: Task,
    evaluations: list[Evaluation],
    generation: int,
    state: Any,
    observers: Sequence[SearchObserver],
) -> None:
    """Run, record and tell the generations after `generation`."""
    config = run.config
    laps: list[dict[str, float]] = []
    settled = task.reference(objectives_of(config, evaluations)) is not None
    calibration = Calibration(run, task, observers) if config.calibrate else None
    compiler = ThreadPoolExecutor(1)
    with Stopwatch() as stopwatch:
        while generation < config.generations:
            start = time.perf_counter()
            genomes = task.ask(generation, state)
            ahead = compiler.submit(task.compile_ahead, genomes) if state is None else None
            scored = task.evaluate(genomes, evaluations)
            if ahead:
                ahead.result()
            share = (time.perf_counter() - start) / len(genomes)
            evaluations += _records(task, genomes, scored, len(evaluations), generation + 1, share)
            objectives = objectives_of(config, evaluations)
            every, forecast = (None, None) if calibration is None else calibration(generation + 1, evaluations)
            minimised = objectives if forecast is None else forecast.points
            state = task.tell(generation, state, genomes, minimised[-len(genomes) :])
            if forecast is not None:
                state = task.reselect(state, every, minimised)
            generation += 1
            volume = task.hypervolume(objectives)
            laps.append(stopwatch.lap())
            progress = make_progress(config, generation, objectives, volume, laps)
            with uninterrupted(), part("recording"):
                if not settled and (reference := task.reference(objectives)) is not None:
                    run.write_meta({**run.read_meta(), "hypervolume_reference": list(reference)})
                    settled = True
                with run.writing():
                    task.costs.keep(run.path)
                run.record(evaluations, len(genomes), progress, _to_arrays(state), forecast)
            for observer in observers:
                observer.on_generation(progress)


def _complete_history(run: Run, task: Task, evaluations: Sequence[Evaluation], generations: int) -> None:
    """Leave one row a finished generation in history.csv; those that an older version did not write have no times."""
    config, unknown = run.config, dict.fromkeys(PARTS, math.nan)
    for generation in range(run.cut_history(generations) + 1, generations + 1):
        objectives = objectives_of(config, evaluations[: generation * config.population_size])
        with run.writing():
            run.append_history(make_progress(config, generation, objectives, task.hypervolume(objectives), [unknown]))


def _draw(result: SearchResult) -> None:
    from rwejax.searching import plot  # takes half a second to import

    plot.save_front(result, _figure(result))


def _figure(result: SearchResult) -> Path:
    return result.run_dir / f"front.{result.config.figure_format}"


def _recover(run: Run, task: Task, evaluations: Sequence[Evaluation]) -> tuple[int, Any]:
    """The finished generations, and the algorithm's state after them; None before the first."""
    size, genes, objectives = run.config.population_size, len(task.space.lower), len(run.config.objectives)
    template = jax.eval_shape(
        task.first_state, np.zeros((size, genes), np.int32), np.zeros((size, objectives), np.float32)
    )
    _check_checkpoint(run, evaluations)
    found = run.checkpoints.load(serialization.to_state_dict(template))
    if found is None:
        return 0, None
    generation, arrays = found
    told = int(arrays["archive_count"]) // size  # what the archive can hold, it holds from the first generation on
    if told != generation:
        raise InputError(
            f"checkpoint {generation} in run folder {str(run.path)!r} is of generation {told}: put the run's own one "
            "there"
        )
    return generation, serialization.from_state_dict(template, jax.tree.map(jnp.asarray, arrays))


def _check_checkpoint(run: Run, evaluations: Sequence[Evaluation]) -> None:
    """Refuse a checkpoint that does not fit the lines: these are written first, and the next ones after it."""
    size, newest = run.config.population_size, newest_checkpoint(run.path / CHECKPOINTS)
    if (newest or 0) * size > len(evaluations) or (newest is None and len(evaluations) > size):
        raise InputError(
            f"run folder {str(run.path)!r} has {len(evaluations)} evaluations and a checkpoint of generation "
            f"{newest or 0} of {size} each, which do not fit: restore the missing files, or start a new run with its "
            "config.yaml"
        )


def _to_arrays(state: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in serialization.to_state_dict(state).items()}


@part("recording")
def _records(
    task: Task, genomes: Int[np.ndarray, "n genes"], scored: Scored, start: int, generation: int, seconds: float
) -> list[Evaluation]:
    macs, params = task.space.macs(genomes), task.space.params(genomes)
    with part("evaluation"):
        costs = task.costs(genomes)
    minimised = np.concatenate([scored.objectives, task.costs.minimised(costs)], 1)
    known = scored.scores | costs
    scores = {name: known[name] for name in task.config.recorded}
    return [
        Evaluation(
            index=start + row,
            generation=generation,
            architecture=task.space.to_string(genomes[row]),
            objectives=tuple(minimised[row].tolist()),
            scores={name: float(values[row]) for name, values in scores.items()},
            macs=int(macs[row]),
            params=int(params[row]),
            failed=int(scored.failed[row]),
            seconds=seconds,
        )
        for row in range(len(genomes))
    ]
