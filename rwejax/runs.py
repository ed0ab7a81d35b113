"""What a search leaves on disk, and how it is taken up again.

    config.yaml         the search; written first and whole, so that a folder without it is no run
    meta.json           versions, device and seed
    evaluations.jsonl   one line a genome, appended and synced after each generation
    front.csv           the front so far, replaced after each generation
    front.png           the front as a figure
    checkpoints/        the algorithm's state after each of the last two generations

The order of writing, evaluations before checkpoint, makes a kill at any moment harmless: what is on disk is a
checkpoint and at least the evaluations that it presumes. Whatever lies beyond it is cut back and evaluated again.
"""

import contextlib
import csv
import dataclasses
import fcntl
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from rwejax.checkpoints import Checkpoints
from rwejax.config import SearchConfig, partial_path, read_config, replacing, write_config
from rwejax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One line of evaluations.jsonl. On disk, numbers that are not finite are null: JSON has no others.

    Attributes:
        index: place among all evaluations of the run, from 0.
        generation: generation, from 1.
        architecture: text form of the canonical genome.
        objectives: what was minimised: for each estimator its error, or its score negated, and macs in millions.
        scores: all that the estimators have measured, by name; on disk each is a key of its own.
        macs: multiply-adds for one image.
        params: trainable numbers.
        failed: weight draws that gave NaN or infinite features.
        seconds: the genome's share of its generation's evaluation time.
    """

    index: int
    generation: int
    architecture: str
    objectives: tuple[float, ...]
    scores: dict[str, float]
    macs: int
    params: int
    failed: int
    seconds: float

    def to_json(self) -> str:
        """One line of strict JSON, without its end."""
        fields: dict[str, Any] = {}
        for name, value in vars(self).items():
            fields |= value if name == "scores" else {name: value}
        fields["objectives"] = [_finite(value) for value in self.objectives]
        return json.dumps({name: _finite(value) for name, value in fields.items()}, allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes, scores: Sequence[str], count: int) -> Self:
        """Read a line; null becomes the worst value there is.

        Args:
            line: what `to_json` wrote.
            scores: names of the scores.
            count: number of objectives.

        Raises:
            ValueError: the line is no evaluation with these scores and so many objectives.
        """
        fields = json.loads(line)
        names = {field.name for field in dataclasses.fields(cls)} - {"scores"} | set(scores)
        if not isinstance(fields, dict) or set(fields) != names:
            raise ValueError("the keys are not those of an evaluation")
        worst = {name: math.inf if "error" in name or name not in scores else -math.inf for name in fields}
        fields = {name: worst[name] if value is None else value for name, value in fields.items()}
        objectives = tuple(math.inf if value is None else value for value in fields.pop("objectives"))
        if len(objectives) != count:
            raise ValueError(f"{len(objectives)} objectives instead of {count}")
        return cls(objectives=objectives, scores={name: fields.pop(name) for name in scores}, **fields)


def find_front(objectives: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " front"]:
    """The distinct points that no other point dominates.

    Of several evaluations with equal objectives the first one stands for all. Points that are not finite never count.

    Args:
        objectives: (n, m), to be minimised.

    Returns:
        Rows of `objectives`, by ascending last objective.

    Example:
        >>> find_front(np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 2.0], [1.0, 2.0]])).tolist()
        [0, 1]
    """
    finite = np.flatnonzero(np.isfinite(objectives).all(axis=1))
    # In this order no point is dominated by, or a repeat of, a later one.
    order = finite[np.lexsort(objectives[finite].T)]
    points = objectives[order]
    front: list[int] = []
    for place, point in enumerate(points):
        if not (points[front] <= point).all(axis=1).any():
            front.append(place)
    return order[front]


class Run:
    """An open run folder. It is locked until it is closed, for two processes would write into each other's lines.

    Use `Run.create` or `Run.open`, in a `with` statement.

    Attributes:
        path: the folder.
        config: the search.
    """

    def __init__(self, path: Path, config: SearchConfig, lock: int) -> None:
        self.path, self.config, self._lock = path, config, lock
        self._checkpoints: Checkpoints | None = None

    @classmethod
    def create(cls, config: SearchConfig) -> Self:
        """Start a run folder, `config.run_dir` or one named after space, dataset and time.

        Raises:
            InputError: the folder holds something or cannot be written.
        """
        try:
            path = _make_folder(config)
            write_config(path / "config.yaml", config)
        except OSError as error:
            raise _unwritable(error, config.run_dir) from error
        return cls(path, config, _take_lock(path))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Take up a run folder.

        Raises:
            InputError: the folder holds no run, its config.yaml is broken, or another process works on it.
        """
        path = Path(path)
        config = read_stored(path)
        return cls(path, config, _take_lock(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        os.close(self._lock)

    def write_meta(self, meta: dict[str, Any]) -> None:
        """Write meta.json."""
        with replacing(self.path / "meta.json") as file:
            json.dump(meta, file, indent=2, allow_nan=False)
            file.write("\n")

    def read_meta(self) -> dict[str, Any]:
        """What meta.json says; nothing if the run was killed before it was written."""
        try:
            meta = json.loads((self.path / "meta.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(f"meta.json in run folder {str(self.path)!r} is broken ({error}): delete it") from error
        return meta if isinstance(meta, dict) else {}

    def record(
        self, evaluations: Sequence[Evaluation], new: int, generation: int, state: dict[str, np.ndarray]
    ) -> None:
        """Write down a generation, in the order that makes a kill harmless.

        Args:
            evaluations: all evaluations so far.
            new: how many of them, the last ones, are of this generation.
            generation: finished generations.
            state: the algorithm's state after them.

        Raises:
            InputError: the folder cannot be written any more.
        """
        with self.writing():
            self.append(evaluations[-new:])
            self.write_front(evaluations)
            self.checkpoints.save(generation, state)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Say in one sentence, an `InputError`, that the disk is full or has gone."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"run folder {str(self.path)!r} cannot be written any more ({error.strerror}): mend that and resume it"
            ) from error

    @property
    def checkpoints(self) -> Checkpoints:
        """The algorithm's states; a finished run that is only read makes no folder for them."""
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(self.path / "checkpoints")
        return self._checkpoints

    def append(self, evaluations: Sequence[Evaluation]) -> None:
        """Add lines to evaluations.jsonl; they are on the disk when this returns."""
        with open(self._evaluations, "a", encoding="utf-8") as file:
            file.writelines(evaluation.to_json() + "\n" for evaluation in evaluations)
            file.flush()
            os.fsync(file.fileno())

    def evaluations(self) -> list[Evaluation]:
        """The complete lines of evaluations.jsonl; a last line that a kill has torn is left out.

        Raises:
            InputError: the file is unreadable, or another line than the last is broken.
        """
        try:
            lines = self._evaluations.read_bytes().splitlines(keepends=True) if self._evaluations.exists() else []
        except OSError as error:
            raise InputError(f"{str(self._evaluations)!r} is unreadable ({error.strerror}): check it") from error
        found = []
        for number, line in enumerate(lines):
            if not line.endswith(b"\n"):
                break
            try:
                evaluation = Evaluation.from_json(line, self.config.recorded, len(self.config.estimators) + 1)
                if evaluation.index != number:
                    raise ValueError(f"the index is {evaluation.index}, not {number}")
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"line {number + 1} of {str(self._evaluations)!r} is broken ({error}): cut the file off before it"
                ) from error
            found.append(evaluation)
        return found

    def cut(self, count: int) -> None:
        """Keep the first `count` lines of evaluations.jsonl."""
        if self._evaluations.exists():
            lines = self._evaluations.read_bytes().splitlines(keepends=True)
            os.truncate(self._evaluations, sum(map(len, lines[:count])))

    def write_front(self, evaluations: Sequence[Evaluation]) -> None:
        """Write front.csv: the non-dominated, distinct evaluations by ascending macs."""
        objectives = np.array([evaluation.objectives for evaluation in evaluations])
        front = find_front(objectives.reshape(-1, len(self.config.estimators) + 1))
        scores = self.config.recorded
        with replacing(self.path / "front.csv") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["architecture", *scores, "macs", "params", "generation", "index"])
            for each in (evaluations[row] for row in front):
                values = [each.scores[name] for name in scores]
                writer.writerow([each.architecture, *values, each.macs, each.params, each.generation, each.index])

    @property
    def _evaluations(self) -> Path:
        return self.path / "evaluations.jsonl"


def read_stored(path: Path) -> SearchConfig:
    """The search of a run folder.

    Raises:
        InputError: the folder holds no run, or its config.yaml is broken.
    """
    try:
        if not (path / "config.yaml").is_file():
            found = "holds no config.yaml" if path.is_dir() else "is no folder" if path.exists() else "does not exist"
            raise InputError(f"run folder {str(path)!r} {found}: give the folder of a run to resume")
    except OSError as error:
        raise InputError(f"run folder {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    config = dataclasses.replace(read_config(path / "config.yaml"), run_dir=path)
    config.validate()
    return config


def check_free(path: Path | None) -> None:
    """Refuse, before anything slow is done, a run folder that cannot be started in.

    Raises:
        InputError: the folder holds something, is a file, or cannot be written.
    """
    folder = Path("runs") if path is None else Path(path)
    try:
        if path is not None and folder.exists():
            _check_empty(folder)
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(20, "Not a directory", str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(folder))
    except OSError as error:
        raise _unwritable(error, path) from error


def _check_empty(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"run_dir {str(folder)!r} is a file: give a folder that is missing or empty")
    part = partial_path(folder / "config.yaml")  # a run that was killed before it began
    if any(entry != part for entry in folder.iterdir()):
        mend = "resume it with --resume, or give" if (folder / "config.yaml").exists() else "give"
        raise InputError(f"run_dir {str(folder)!r} is not empty: {mend} a folder that is missing or empty")


def _make_folder(config: SearchConfig) -> Path:
    if config.run_dir is not None:
        path = Path(config.run_dir)
        path.mkdir(parents=True, exist_ok=True)
        _check_empty(path)
        return path
    dataset = re.sub(r"\W+", "-", config.dataset.removeprefix("folder:").rstrip("/").rpartition("/")[2])
    name = f"{config.space}-{dataset}-{datetime.now():%Y%m%d-%H%M%S}"
    Path("runs").mkdir(exist_ok=True)
    # Several searches that are started in the same second must not share a folder.
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        with contextlib.suppress(FileExistsError):
            path = Path("runs") / (name + suffix)
            path.mkdir()
            return path
    raise FileExistsError(17, "File exists", name)


def _unwritable(error: OSError, run_dir: Path | None) -> InputError:
    path = error.filename if run_dir is None else run_dir
    return InputError(f"run_dir {str(path)!r} cannot be written ({error.strerror}): give another folder with --run-dir")


def _take_lock(path: Path) -> int:
    """Lock the folder by its config.yaml; the lock is gone when the descriptor is closed, by a kill too."""
    try:
        lock = os.open(path / "config.yaml", os.O_RDONLY)
    except OSError as error:
        raise InputError(f"run folder {str(path)!r} is unreadable ({error.strerror}): check the path") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise InputError(f"run folder {str(path)!r} is in use by another process: wait for it or stop it") from error
    except OSError:
        pass  # some network file systems have no locks, which is no reason to refuse them
    return lock


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
