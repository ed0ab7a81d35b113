"""Search for neural architectures without training them: low error, few multiply-adds.

Examples:
  rwejax search --space macro
  rwejax search --config macro_cifar10 --seed 1
  rwejax search --space macro --log tensorboard,wandb
  rwejax search --resume runs/macro-digits-20260101-120000
  rwejax search --space macro --hosts 2 --host 0 --coordinator 10.0.0.1:8476
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from rwejax.cli.flags import load_files, one_name, overlay, resumed
from rwejax.runtime.hosts import HostsConfig
from rwejax.runtime.invocation import invocation
from rwejax.searching.config import SearchConfig
from rwejax.searching.records import Run


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Where a search comes from.

    Attributes:
        search: the search itself.
        hosts: the hosts that it runs on.
        config: YAML file of the options below, or the name of a packaged one, such as macro_cifar10; flags override it.
        resume: run folder to go on with; needs no other flag, but those that name code, FILE.py:NAME.
        log: where the progress goes besides: tensorboard, wandb, or both with a comma between them.
    """

    search: Annotated[SearchConfig, tyro.conf.arg(name="")]
    hosts: Annotated[HostsConfig, tyro.conf.arg(name="")] = dataclasses.field(default_factory=HostsConfig)
    config: Path | None = None
    resume: Path | None = None
    log: str = ""


def main(words: Sequence[str]) -> int:
    """Search as the flags say, on this host or on several; returns the exit code."""
    arguments = _read_flags(words, SearchConfig())
    arguments.hosts.validate()
    if arguments.hosts.hosts in (None, 1):
        return search_here(words)
    if arguments.resume is None:
        parse(words).search.validate()  # what is wrong on every host is better said before they meet
    from rwejax.runtime.launch import launch

    return launch(arguments.hosts, functools.partial(search_here, words))


def search_here(words: Sequence[str]) -> int:
    """This host's part of the search."""
    arguments = parse(words)
    from rwejax.reporting.observer import ReportObserver
    from rwejax.searching import console
    from rwejax.tracking import make_observers

    observers = [] if _follows() else [ReportObserver(), *make_observers(arguments.log)]
    return console.run(arguments.search, arguments.resume, observers)


def parse(words: Sequence[str]) -> Arguments:
    """Read the flags, over the file or the run that they name.

    Args:
        words: the flags.

    Raises:
        InputError: a file cannot be used, or flags contradict the run to resume.
    """

    def flags(base: SearchConfig) -> SearchConfig:
        return _read_flags(words, base).search

    arguments = _read_flags(words, SearchConfig())
    load_files(arguments.search.space, arguments.search.estimator, arguments.search.dataset)
    if arguments.resume is not None and not _follows():
        config = resumed(flags, arguments.config, arguments.resume, Run.defaults)
    else:
        config = overlay(flags, arguments.config, arguments.search)
    return dataclasses.replace(arguments, search=config)


def _follows() -> bool:
    """Whether another host leads, which alone has the run folder."""
    from rwejax.runtime import devices

    return devices.follows()


def _read_flags(words: Sequence[str], defaults: SearchConfig) -> Arguments:
    return tyro.cli(
        Arguments, args=one_name(words), default=Arguments(defaults), prog=invocation("search"), description=__doc__
    )
