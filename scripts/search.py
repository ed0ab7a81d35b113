"""Search for neural architectures by random-weight evaluation: low error, few multiply-adds.

Examples:
  python scripts/search.py --space macro
  python scripts/search.py --config configs/macro_cifar10.yaml --seed 1
  python scripts/search.py --resume runs/macro-digits-20260101-120000
  python scripts/search.py --space macro --hosts 2 --host 0 --coordinator 10.0.0.1:8476
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from rwejax.config import SearchConfig
from rwejax.flags import overlay, resumed
from rwejax.runtime import devices
from rwejax.runtime.launch import HostsConfig, run
from rwejax.runtime.signals import exit_code, leave


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Where a search comes from.

    Attributes:
        search: the search itself.
        hosts: the hosts that it runs on.
        config: YAML file of the options below; flags override it.
        resume: run folder to go on with; needs no other flag.
    """

    search: Annotated[SearchConfig, tyro.conf.arg(name="")]
    hosts: Annotated[HostsConfig, tyro.conf.arg(name="")] = dataclasses.field(default_factory=HostsConfig)
    config: Path | None = None
    resume: Path | None = None


def parse(argv: list[str] | None = None) -> Arguments:
    """Read the flags, over the file or the run that they name.

    Raises:
        InputError: a file cannot be used, or flags contradict the run to resume.
    """

    def flags(base: SearchConfig) -> SearchConfig:
        return _read_flags(argv, base).search

    arguments = _read_flags(argv, SearchConfig())
    if arguments.resume is not None and not devices.follows():  # only host 0 has the folder
        config = resumed(flags, arguments.config, arguments.resume, SearchConfig())
    else:
        config = overlay(flags, arguments.config, arguments.search)
    return dataclasses.replace(arguments, search=config)


def _read_flags(argv: list[str] | None, defaults: SearchConfig) -> Arguments:
    return tyro.cli(Arguments, args=argv, default=Arguments(defaults), description=__doc__)


def main() -> int:
    """Search, print the front, and return the exit code."""
    return exit_code(search)


def search() -> int:
    """Search as the flags say, on this host or on several."""
    arguments = _read_flags(None, SearchConfig())
    arguments.hosts.validate()
    if arguments.hosts.hosts in (None, 1):
        return search_here()
    if arguments.resume is None:
        parse().search.validate()  # what is wrong on every host is better said before they meet
    return run(arguments.hosts, search_here)


def search_here() -> int:
    """This host's part of the search."""
    arguments = parse()
    from rwejax import console

    return console.run(arguments.search, arguments.resume)


if __name__ == "__main__":
    leave(main())
