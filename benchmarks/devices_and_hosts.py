"""Evaluations per second of one population over more and more devices, and over several hosts on the loopback.

Every way of splitting the work has processes of its own, one after another, and the total work is the same. On a
machine with fewer cores than devices this measures what the splitting costs, not what it gains. Last come larger
populations, in programs of equal size, and the memory that they take.
"""

import multiprocessing
import socket
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
from parts.command import Result, main
from parts.report import header, peak_memory_gib, spread
from parts.setting import Setting

import rwejax
from rwejax import RandomWeightEvaluator
from rwejax.errors import InputError
from rwejax.runtime import collectives, devices

TOLERANCE = 1e-4  # relative, for the squared error


@dataclass(frozen=True)
class Config(Setting):
    """Time the random-weight evaluator over devices and hosts, all of them on this machine's CPU."""

    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Devices of a single process."""
    hosts: tuple[int, ...] = (2,)
    """Hosts, each a process with one device."""
    populations: tuple[int, ...] = (32, 128, 512)
    """Genomes whose memory is measured, on as many devices as there are cores."""
    genomes_per_program: int = 32
    """Genomes that are evaluated together there."""
    genomes: int = 20
    """Macro genomes, drawn at random."""
    nodes: int = 4
    """Nodes of a phase."""
    channels: int = 16
    """Channels of the first phase."""
    dataset: str = "digits"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    repetitions: int = 5
    """Times that each way is timed."""

    @property
    def ways(self) -> list["Way"]:
        """Over devices, then over hosts."""
        shapes = [(1, count) for count in self.devices] + [(count, 1) for count in self.hosts]
        return [Way(hosts, devices, self.genomes, None, self.repetitions) for hosts, devices in shapes]

    @property
    def larger(self) -> list["Way"]:
        """More and more genomes, in programs of one size."""
        return [Way(1, devices.cores(), genomes, self.genomes_per_program, 1) for genomes in self.populations]


@dataclass(frozen=True)
class Way:
    """How a population is evaluated."""

    hosts: int
    devices: int
    genomes: int
    genomes_per_program: int | None
    repetitions: int


def measure(config: Config) -> Result:
    """All ways together, and whether their scores are the same.

    Raises:
        InputError: the setting cannot be measured.
    """
    counts = *config.devices, *config.hosts, *config.populations, config.genomes, config.repetitions
    if not config.ways or min(counts) < 1:
        raise InputError("devices, hosts, populations, genomes and repetitions are counts: give 1 or more of each")
    ways, larger = ([measure_way(config, way) for way in ways] for ways in (config.ways, config.larger))
    scores = [way.pop("loo_squared_error") for way in ways]
    for way in larger:
        del way["loo_squared_error"]
    differences = [
        abs(one - other) / abs(other) for way in scores[1:] for one, other in zip(way, scores[0], strict=True)
    ]
    return {
        **header(config.recorded),
        "ways": ways,
        "larger_populations": larger,
        "agreement": {
            "loo_squared_error_relative": max(differences, default=0.0),
            "holds": max(differences, default=0.0) < TOLERANCE,
        },
    }


def measure_way(config: Config, way: Way) -> dict[str, Any]:
    """One way of splitting the work: what the first host has measured."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with ProcessPoolExecutor(way.hosts, multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(evaluate, config, way, host, port) for host in range(way.hosts)]
        results = [part.result() for part in parts]
    return results[0]


def evaluate(config: Config, way: Way, host: int, port: int) -> dict[str, Any]:
    """What a process does."""
    jax.config.update("jax_num_cpu_devices", way.devices)
    rwejax.use_all_cores()  # which leaves the number of devices as it is
    if way.hosts > 1:
        devices.connect(f"127.0.0.1:{port}", way.hosts, host)
    dataset, space = config.load("macro", {"nodes": config.nodes, "channels": config.channels})
    key_genomes, key = jax.random.split(jax.random.key(config.seed))
    genomes = space.sample(key_genomes, way.genomes)
    evaluator = RandomWeightEvaluator(space, dataset, genomes_per_program=way.genomes_per_program)
    seconds = []
    for _ in range(way.repetitions + 1):
        collectives.every_host(0)  # all begin together
        start = time.perf_counter()
        scores = evaluator(key, genomes)
        seconds.append(time.perf_counter() - start)
    if way.hosts > 1:
        jax.distributed.shutdown()
    return {
        "hosts": way.hosts,
        "devices_a_host": way.devices,
        "genomes": way.genomes,
        "compile_seconds": seconds[0] - statistics.median(seconds[1:]),
        "seconds": seconds[1:],
        "evaluations_per_second": spread(way.genomes / each for each in seconds[1:]),
        "peak_memory_gib": peak_memory_gib(),
        "loo_squared_error": scores.loo_squared_error.tolist(),
    }


if __name__ == "__main__":
    sys.exit(main(Config, measure))
