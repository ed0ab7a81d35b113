"""Full training of one network: its images, its compiled functions, and the loop over epochs."""

import dataclasses
import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Int

from rwejax import data, networks, spaces
from rwejax.errors import InputError, quoted
from rwejax.evaluate.population.recipe import key_of_steps, optimiser
from rwejax.objectives import COSTS
from rwejax.runtime.environment import describe_machine, resumed
from rwejax.runtime.observer import closing
from rwejax.runtime.signals import uninterrupted
from rwejax.searching.images import describe_images, load_same, moved, record_move
from rwejax.storage.files import CHECKPOINTS, newest_checkpoint
from rwejax.storage.run_dir import check_free
from rwejax.training.batches import Batch, BatchSource, Loaded, standardise_pixels
from rwejax.training.config import TrainConfig
from rwejax.training.from_search import check_origin
from rwejax.training.observers import TrainObserver
from rwejax.training.predictions import Collector
from rwejax.training.records import Epoch, Test, Training
from rwejax.training.result import TrainResult
from rwejax.training.step import (
    Sums,
    TrainState,
    first_state,
    from_arrays,
    make_measure,
    make_step,
    state_shapes,
    to_arrays,
)

_IMAGENET = 224  # pixels
_WIDEST = 4096  # channels of the first maps


def train(
    config: TrainConfig, observers: Sequence[TrainObserver] = (), origin: Mapping[str, Any] | None = None
) -> TrainResult:
    """Train one network for real, on all devices of this host.

    Everything is recorded in a run folder, which `resume` continues. On an interruption the folder keeps all
    finished epochs, and `KeyboardInterrupt` goes on to the caller.

    Args:
        config: which network is trained, and how.
        observers: are told of the progress, and closed at the end.
        origin: what meta.json is to say of where the architecture comes from; see `from_search`.

    Returns:
        The network and what was measured. It is a function of the config, up to the times.

    Raises:
        InputError: something in the config cannot be used, or the loss is no longer finite.

    Examples:
        >>> import tempfile
        >>> from rwejax import TrainConfig, train
        >>> config = TrainConfig(architecture="macro:2:11-11-11", nodes=2, channels=4, epochs=1, train_images=256,
        ...                      run_dir=tempfile.mkdtemp())
        >>> result = train(config)
        >>> len(result.epochs), 0 <= result.test.test_accuracy <= 100
        (1, True)
    """
    config.validate()
    config = config.resolved()
    check_free(config.run_dir)
    check_origin(config, origin or {})
    task = _Task(config)
    config = dataclasses.replace(task.config, architecture=task.space.to_string(task.genome))
    with Training.create(config) as run, closing(observers):
        run.write_meta({**describe_machine(config.seed), **describe_images(task.source), "origin": origin})
        return _finish(run, task, [], observers)


def resume(
    run_dir: str | Path,
    observers: Sequence[TrainObserver] = (),
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
) -> TrainResult:
    """Resume a training from its run folder, however it ended.

    Args:
        run_dir: the run folder.
        observers: are told of the progress, and closed at the end.
        dataset: where the same images lie now, if they were moved, such as folder:PATH; the run folder keeps it.
        data_dir: likewise, of a set of TensorFlow Datasets.

    Returns:
        What an uninterrupted `train` would have returned. A finished training is only read.

    Raises:
        InputError: the folder holds no training, or is broken, or another process works on it, or the images have
            changed.
    """
    with Training.open(run_dir) as run, closing(observers):
        epochs, known, test = run.epochs(), run.read_meta(), run.test()
        _check_checkpoint(run, len(epochs))
        if test is None:
            run.check_writable()
        config = moved(run.config, known, dataset, data_dir)
        task = _Task(config, known)
        if config != run.config:
            record_move(run, config)
            known = run.read_meta()
        meta = {**describe_machine(run.config.seed), **describe_images(task.source), **known}
        if test is None:
            meta = resumed(meta, run.config.seed)
        if meta != known:
            run.write_meta(meta)
        return _finish(run, task, epochs, observers)


class _Task:
    """What a run folder does not hold because it follows from the config: images, network, compiled functions."""

    def __init__(self, config: TrainConfig, meta: Mapping[str, Any] | None = None) -> None:
        size = config.image_size or (_IMAGENET if config.stem == "imagenet" else 32)
        choose(config, (size, size, 3), 10)  # what is wrong with the network is answered before images are loaded
        self.source = load_same(config, meta or {}, lambda: load_images(config))
        self.config = config = _settle(config, self.source)
        self.space, self.genome = choose(config, self.source.image_shape, self.source.classes)
        self.network = networks.build(self.space, self.genome, auxiliary=config.auxiliary > 0)
        self.steps = math.ceil(self.source.count("train") / config.batch_size)
        devices = jax.local_devices()
        used = next(n for n in range(len(devices), 0, -1) if config.batch_size % n == 0)
        mesh = jax.sharding.Mesh(np.array(devices[:used]), (networks.IMAGES_AXIS,))
        self._split = NamedSharding(mesh, PartitionSpec(networks.IMAGES_AXIS))
        self._whole = NamedSharding(mesh, PartitionSpec())
        self.key_steps = key_of_steps(config.seed)

        def standardised(images: Any) -> Any:
            return standardise_pixels(images, self.source.mean, self.source.std)

        changes: dict[str, Any] = {"cutout": config.cutout}
        if config.stem != "imagenet":  # whose images are cropped and mirrored as they are read
            changes |= {"crop_padding": config.crop_padding, "flip": config.flip}
        self.step = make_step(config, config.epochs * self.steps, standardised, **changes)
        self._measure = make_measure(standardised)

    def first_state(self) -> TrainState:
        tx = optimiser(self.config, self.config.epochs * self.steps)
        with _single_precision():
            return first_state(self.config.seed, self.network, self.source.image_shape, tx)

    def state_shapes(self) -> TrainState:
        tx = optimiser(self.config, self.config.epochs * self.steps)
        return state_shapes(self.network, self.source.image_shape, tx)

    def replicated(self, state: TrainState) -> TrainState:
        return jax.device_put(state, self._whole)

    def epoch(self, number: int, state: TrainState, observers: Sequence[TrainObserver]) -> tuple[TrainState, Sums]:
        """Train for an epoch, counted from 0."""
        sums: list[Sums] = []
        for images, labels in self.source.train_batches(number, self.config.batch_size):
            for observer in observers:
                observer.on_step(len(sums), self.steps)
            with _single_precision():
                state, found = self.step(self.key_steps, state, *jax.device_put((images, labels), self._split))
            sums.append(found)
        return state, _mean(sums, self.steps * self.config.batch_size)

    def measure(self, state: TrainState, split: str, collector: Collector | None = None) -> Sums:
        """Mean loss, and accuracy in %; a collector is told what is predicted of each image."""
        sums: list[Sums] = []
        with _single_precision():
            for images, labels in self.source.batches(split, self.config.batch_size):
                batch = jax.device_put(_padded((images, labels), self.config.batch_size), self._split)
                found, predicted = self._measure(state, *batch)
                sums.append(found)
                if collector is not None:
                    collector.add(images, labels, *(np.asarray(each)[: len(labels)] for each in predicted))
        return _mean(sums, self.source.count(split))


def choose(
    config: TrainConfig, image_shape: tuple[int, int, int], classes: int
) -> tuple[spaces.Space, Int[np.ndarray, " genes"]]:
    """The space, of the width that the config's limit of macs allows, and the genome.

    Args:
        config: the training.
        image_shape: height, width and channels of an image.
        classes: number of classes.

    Raises:
        InputError: the architecture is none of the space, or even the narrowest network is too large.
    """
    options: dict[str, Any] = {"input_shape": image_shape, "classes": classes}
    if config.stem != "cifar":
        options["stem"] = config.stem
    space = spaces.get(config.space, **config.sizes, **options)
    try:
        genome = space.from_string(config.architecture)
    except ValueError as error:
        raise InputError(
            f"architecture {quoted(config.architecture)} is none of {config.space_name}: {error}"
        ) from error
    if config.macs_limit is None:
        return space, genome
    limit = COSTS["macs"].parse(config.macs_limit)

    def of_width(channels: int) -> spaces.Space:
        return spaces.get(config.space, **config.sizes | {"channels": channels}, **options)

    widths = range(2, _WIDEST + 2, 2)
    allowed = bisect_right(widths, limit, key=lambda width: of_width(width).macs(genome[None])[0])
    if not allowed:
        raise InputError(f"macs_limit {config.macs_limit!r} is less than the narrowest network has: give more")
    return of_width(widths[allowed - 1]), genome


def load_images(config: TrainConfig) -> BatchSource:
    """The images of a training: in memory, or streamed where it has an ImageNet stem.

    Args:
        config: the training.

    Raises:
        InputError: they cannot be read.
    """
    if config.stem == "imagenet":
        return data.stream(
            config.dataset,
            image_size=config.image_size or _IMAGENET,
            data_dir=config.data_dir,
            seed=config.seed,
            flip=config.flip,
        )
    return Loaded(data.load_named(config), config.seed)


def _settle(config: TrainConfig, images: BatchSource) -> TrainConfig:
    """The config with all that is chosen by the images, so that it means the same ever after."""
    flip = not images.grey if config.flip is None else config.flip
    config = dataclasses.replace(config, flip=flip, batch_size=min(config.batch_size, images.count("train")))
    if config.stem == "imagenet":
        return config
    return dataclasses.replace(
        config,
        train_images=images.count("train"),
        validation_images=images.count("validation"),
        crop_padding=images.image_shape[0] // 8 if config.crop_padding is None else config.crop_padding,
    )


def _summary(config: TrainConfig, images: BatchSource) -> str:
    """What is printed of the images, and how they are changed."""
    kind = "grey" if images.grey else "coloured"
    mirrored = "mirrored at random" if config.flip else "not mirrored"
    shift = "cropped" if config.stem == "imagenet" else f"shifted by up to {config.crop_padding} pixels"
    shape = " x ".join(map(str, images.image_shape))
    return (
        f"{images.summary}\n{kind} images of {shape}: {mirrored}, {shift} at random, in batches of {config.batch_size}"
    )


def _finish(run: Training, task: _Task, epochs: list[Epoch], observers: Sequence[TrainObserver]) -> TrainResult:
    """Train all epochs that are missing, and test."""
    finished, state = _recover(run, task, len(epochs))
    del epochs[finished:]
    run.cut(finished)
    macs, params = (int(cost(task.genome[None])[0]) for cost in (task.space.macs, task.space.params))
    for observer in observers:
        observer.on_start(run.config, run.path, finished, macs, params)
        if finished < run.config.epochs:
            observer.on_images(_summary(task.config, task.source))
    try:
        while len(epochs) < run.config.epochs:
            start = time.perf_counter()
            state, trained = task.epoch(len(epochs), state, observers)
            validated = task.measure(state, "validation")
            epoch = _epoch(len(epochs) + 1, trained, validated, time.perf_counter() - start)
            if not math.isfinite(epoch.train_loss):
                raise InputError(
                    f"the loss of epoch {epoch.epoch} is not finite: give a lower --learning-rate than "
                    f"{run.config.learning_rate}"
                )
            with uninterrupted():
                run.record(epoch, to_arrays(state))
            epochs.append(epoch)
            seconds = [each.seconds for each in epochs[finished:]]
            # The first epoch of a process compiles, so it says little of the others.
            pace = float(np.mean(seconds[1:] or seconds))
            for observer in observers:
                observer.on_epoch(epoch, pace * (run.config.epochs - epoch.epoch))
    finally:
        if epochs:
            with uninterrupted(), run.writing():
                _draw(epochs, run.path / f"curve.{run.config.figure_format}")
    test = run.test()
    if test is None:
        collector = Collector(task.source.mean, task.source.std)
        found = task.measure(state, "test", collector)
        with run.writing():
            collector.write(run.path)
        test = Test(float(found["loss"]), float(found["correct"]), task.source.count("test"))
        run.write_test(test)
    variables = jax.tree.map(np.asarray, {"params": state.params, "batch_stats": state.batch_stats})
    result = TrainResult(task.network, variables, task.space, task.genome, tuple(epochs), test, run.path, run.config)
    for observer in observers:
        observer.on_end(result)
    return result


def _draw(epochs: list[Epoch], path: Path) -> None:
    from rwejax.training import plot  # takes half a second to import

    plot.save_curve(epochs, path)


def _recover(run: Training, task: _Task, lines: int) -> tuple[int, TrainState]:
    """The finished epochs, and the state after them."""
    template = task.state_shapes()
    found = run.checkpoints.load(to_arrays(template))
    if found is None:
        return 0, task.replicated(task.first_state())
    epoch, arrays = found
    state = from_arrays(template, arrays)
    if int(state.step) != epoch * task.steps:
        raise InputError(
            f"checkpoint {epoch} in run folder {str(run.path)!r} is after {int(state.step)} steps and not "
            f"{epoch * task.steps}: put the run's own one there"
        )
    return epoch, task.replicated(state)


def _check_checkpoint(run: Training, lines: int) -> None:
    """Refuse a checkpoint that does not fit the lines, which are written before it."""
    epoch = newest_checkpoint(run.path / CHECKPOINTS)
    if epoch is not None and epoch > lines:
        raise InputError(
            f"run folder {str(run.path)!r} has {lines} lines of metrics and a checkpoint of epoch {epoch}, which do "
            "not fit: restore the missing files, or start a new run with its config.yaml"
        )


def _epoch(number: int, trained: Sums, validated: Sums, seconds: float) -> Epoch:
    loss, accuracy, validation_loss, validation_accuracy = (
        float(each[name]) for each in (trained, validated) for name in ("loss", "correct")
    )
    return Epoch(number, loss, accuracy, validation_loss, validation_accuracy, seconds)


def _mean(sums: list[Sums], images: int) -> Sums:
    """Mean loss, and the share that is correct in %."""
    totals: Sums = jax.tree.map(lambda *terms: np.sum(np.array(terms, np.float64)), *sums)
    return {"loss": totals["loss"] / images, "correct": 100 * totals["correct"] / images}


def _single_precision() -> AbstractContextManager[None]:
    """Where numbers are the same, whatever else the program computes."""
    return jax.enable_x64(False)


def _padded(batch: Batch, size: int) -> Batch:
    """A batch of full size; what is added has the label -1."""
    images, labels = batch
    missing = size - len(labels)
    return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))), np.pad(labels, (0, missing), constant_values=-1)
