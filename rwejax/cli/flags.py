"""Where a command's config comes from: flags, over a YAML file, over a run folder or the defaults."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rwejax import plugins
from rwejax.config import RunConfig
from rwejax.errors import InputError
from rwejax.storage.yaml_config import read_config, read_stored

Config = TypeVar("Config", bound=RunConfig)

# In an installed wheel the package holds its configs; in a clone, editable or not, they lie beside the package.
_FOLDERS = tuple(Path(__file__).parents[up] / "configs" for up in (1, 2))


def one_name(words: Sequence[str]) -> list[str]:
    """The flags with `--estimator` in place of `--estimators`, since either reads well before one or several names.

    Args:
        words: the flags.
    """
    return [re.sub(r"^--estimators(?==|$)", "--estimator", word) for word in words]


def packaged() -> dict[str, Path]:
    """The configs that come with rwejax: their files by name, such as macro_cifar10."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_config(config: Path) -> Path:
    """The file that `--config` means: one of the user's or, by its name, a packaged one.

    Args:
        config: a path, or a name without folder and suffix; a file of that name in the working directory comes first.

    Raises:
        InputError: it is such a name, and there is neither a file nor a packaged config of it.
    """
    if config.suffix or config.name != str(config) or config.is_file():
        return config
    known = packaged()
    if config.name not in known:
        raise InputError(
            f"config {config.name!r} is neither a file nor one of the packaged configs: choose {', '.join(known)}, "
            "or give the path of a YAML file"
        )
    return known[config.name]


def load_files(*given: str | None) -> None:
    """Execute the files that flags name.

    What config files and run folders name is never executed, for somebody else may have written them.

    Args:
        given: values of flags, each a name, FILE.py:NAME, or several with commas between them.

    Raises:
        InputError: a file cannot be read, or its code fails.
    """
    for each in ",".join(filter(None, given)).split(","):
        if plugins.parse(each):
            plugins.load(each)


def overlay(flags: Callable[[Config], Config], file: Path | None, base: Config) -> Config:
    """Flags over a file over a base.

    Args:
        flags: puts the flags over a config.
        file: a YAML file or the name of a packaged config, if any.
        base: where everything else comes from.

    Raises:
        InputError: the file cannot be used.
    """
    return flags(base if file is None else read_config(find_config(file), base))


def resumed(flags: Callable[[Config], Config], file: Path | None, run: Path, defaults: Config) -> Config:
    """The config of the run to resume, which the flags must not contradict, but for the place where its images lie.

    Args:
        flags: puts the flags over a config.
        file: a YAML file or the name of a packaged config, if any.
        run: the run folder.
        defaults: of the config.

    Raises:
        InputError: the folder holds no run, or flags or file ask for another one.
    """
    stored = read_stored(run, defaults)
    asked = overlay(flags, file, stored)
    place = asked.resolved()
    names = stored.resolved().differences(place)
    if set(names) <= {"dataset", "data_dir"} and _is_kind_of(place.dataset, stored.dataset):
        stored = dataclasses.replace(stored, **{name: getattr(place, name) for name in names})  # type: ignore[type-var]
    elif names:
        values = [(name.replace("_", "-"), getattr(stored, name)) for name in names]
        how = " ".join(f"no --{flag}" if value is None else f"--{flag} {value}" for flag, value in values)
        raise InputError(f"run {str(run)!r} was started with {how}: leave other values out, --resume alone is enough")
    if asked.run_dir is not None and asked.run_dir.absolute() != run.absolute():
        raise InputError(f"run {str(run)!r} is resumed where it lies: leave out --run-dir {asked.run_dir}")
    return stored


def _is_kind_of(dataset: str, other: str) -> bool:
    """Whether two names can be of the same images at two places."""
    return dataset == other or (":" in dataset and dataset.partition(":")[0] == other.partition(":")[0])
