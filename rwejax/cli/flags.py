"""Where a command's config comes from: flags, over a YAML file, over a run folder or the defaults."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rwejax import plugins
from rwejax.config import RunConfig
from rwejax.errors import InputError
from rwejax.storage.yaml_config import read_config, read_stored

Config = TypeVar("Config", bound=RunConfig)


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
        file: a YAML file, if any.
        base: where everything else comes from.

    Raises:
        InputError: the file cannot be used.
    """
    return flags(base if file is None else read_config(file, base))


def resumed(flags: Callable[[Config], Config], file: Path | None, run: Path, defaults: Config) -> Config:
    """The config of the run to resume, which the flags must not contradict.

    Args:
        flags: puts the flags over a config.
        file: a YAML file, if any.
        run: the run folder.
        defaults: of the config.

    Raises:
        InputError: the folder holds no run, or flags or file ask for another one.
    """
    stored = read_stored(run, defaults)
    asked = overlay(flags, file, stored)
    names = stored.resolved().differences(asked.resolved())
    if names:
        values = [(name.replace("_", "-"), getattr(stored, name)) for name in names]
        how = " ".join(f"no --{flag}" if value is None else f"--{flag} {value}" for flag, value in values)
        raise InputError(f"run {str(run)!r} was started with {how}: leave other values out, --resume alone is enough")
    if asked.run_dir is not None and asked.run_dir.absolute() != run.absolute():
        raise InputError(f"run {str(run)!r} is resumed where it lies: leave out --run-dir {asked.run_dir}")
    return stored
