"""Where the hosts of a search are, as the command line says it. Nothing heavy is imported here."""

import dataclasses

from rwejax.config import normalise
from rwejax.errors import InputError


@dataclasses.dataclass(frozen=True)
class HostsConfig:
    """Where a search runs, if not on this host alone. Every host gets the same command, but for its own number.

    Attributes:
        hosts: number of hosts, each with a process of its own; None: this one alone.
        host: number of this host, from 0, which leads and has the run folder; None: as Slurm, MPI or the TPU pod says.
        coordinator: address of host 0 and a free port there, such as 10.0.0.1:8476; None: as they say.
        host_timeout: seconds to wait for the others at the start.

    Examples:
        >>> HostsConfig(hosts=2, host=2, coordinator="10.0.0.1:8476").validate()
        Traceback (most recent call last):
        rwejax.errors.InputError: host is 2, of 2 hosts: give 0 to 1
    """

    hosts: int | None = None
    host: int | None = None
    coordinator: str | None = None
    host_timeout: int = 300

    def __post_init__(self) -> None:
        normalise(self)

    def validate(self) -> None:
        """Refuse what no hosts can find each other by.

        Raises:
            InputError: a field is out of its range, or does not go with the others.
        """
        if self.hosts is None:
            for name in ("host", "coordinator"):
                if (value := getattr(self, name)) is not None:
                    raise InputError(f"{name} is {value}, but of how many hosts: give --hosts")
            return
        for name in ("hosts", "host_timeout"):
            if (value := getattr(self, name)) < 1:
                raise InputError(f"{name} is {value}: give 1 or more")
        if self.host is not None and not 0 <= self.host < self.hosts:
            raise InputError(f"host is {self.host}, of {self.hosts} hosts: give 0 to {self.hosts - 1}")
        if (self.host is None) != (self.coordinator is None):
            missing = "--host, the number of this one," if self.host is None else "--coordinator, host 0's address,"
            raise InputError(f"hosts is {self.hosts}: give {missing} too, or neither under Slurm, MPI or on a TPU pod")
        name, _, port = (self.coordinator or "host:1").rpartition(":")
        if not (name and port.isdecimal() and 0 < int(port) < 2**16):
            raise InputError(f"coordinator is {self.coordinator!r}: give host 0's ADDRESS:PORT, such as 10.0.0.1:8476")
