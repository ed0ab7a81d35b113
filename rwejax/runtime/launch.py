"""A command on several hosts. It runs in a process of its own, and this one sees to it that it ends in a sentence.

A process that has lost the others, or does not find them, is ended by JAX from within, and Python has no say in it.
"""

import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import jax
from rich.console import Console

from rwejax.errors import InputError
from rwejax.runtime import devices
from rwejax.runtime.hosts import HostsConfig
from rwejax.runtime.signals import exit_code, run_interruptible
from rwejax.runtime.standard_output import StandardOutput

LOST = 3
"""Exit code of a host that has lost another one, or has not found it."""

_CONNECTED = b"rwejax: connected\n"
_PATIENCE = 10.0  # seconds for the process to answer a signal
_LOSS = re.compile("gloo|nccl|coordination|UNAVAILABLE|DEADLINE_EXCEEDED", re.IGNORECASE)


def launch(hosts: HostsConfig, command: Callable[[], int]) -> int:
    """Connect with the other hosts and run a command, which they all run.

    Args:
        hosts: where they are.
        command: a function of a module that returns an exit code.

    Returns:
        The exit code: the command's, `LOST`, or 128 plus the number of the signal that ended it.

    Raises:
        InputError: the coordinator's port is not free.
    """
    if hosts.host == 0:
        _check_port(hosts)
    with tempfile.NamedTemporaryFile() as log:
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(hosts, command, log.name))

        def on_interrupt(number: int) -> int:
            _end(process)
            return 128 + number

        code = run_interruptible(lambda: _run(process), on_interrupt, lambda _: None)
        if code:  # the user's signal
            return code
        assert process.exitcode is not None
        return _explain(process.exitcode, log.read(), hosts)


def _run(process: BaseProcess) -> None:
    # Ctrl-C is passed on, so that it comes once and not amid an import.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    process.join()


def _end(process: BaseProcess) -> None:
    """End the process, which says what is saved, unless it has only begun."""
    if process.is_alive():
        process.terminate()
        process.join(_PATIENCE)
        process.kill()
    if process.exitcode in (None, -signal.SIGTERM):
        print("interrupted", file=sys.stderr)


def _check_port(hosts: HostsConfig) -> None:
    """Find out before JAX does, which would crash."""
    assert hosts.coordinator is not None
    name, _, port = devices.bind_address(hosts.coordinator).rpartition(":")
    try:
        for family, *_, address in socket.getaddrinfo(name.strip("[]"), int(port), type=socket.SOCK_STREAM):
            socket.create_server(address[:2], family=family).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address
        raise InputError(
            f"coordinator is {hosts.coordinator!r}, and host 0 cannot listen there ({reason}): give an address "
            f"of host 0 and a free port, or set {devices.BIND_ADDRESS} to what it is to listen on"
        ) from error


def _explain(code: int, log: bytes, hosts: HostsConfig) -> int:
    """Say why the process has ended, where it could not say it itself; returns the exit code."""
    if code >= 0 and code != LOST:
        return code
    Console().show_cursor()  # which a bar has hidden
    if code < 0 and (code != -signal.SIGABRT or b"distributed service" not in log):
        sys.stderr.write(log.decode(errors="replace")[-4000:])
        print(f"error: this host's part of the search was ended by {signal.Signals(-code).name}", file=sys.stderr)
        return 128 - code
    if _CONNECTED in log:
        sentence = (
            "another host has ended or is out of reach: see what it says there, and go on with --resume RUN, the run "
            "folder on host 0, on as many hosts as there are"
        )
    else:
        where = f" at {hosts.coordinator}" if hosts.coordinator else ""
        sentence = (
            f"not all of {hosts.hosts} hosts came within {hosts.host_timeout} s: start each with its own --host and "
            f"otherwise the same flags, and check that they reach host 0{where} and each other by their names"
        )
    print(f"error: {sentence}", file=sys.stderr)
    return LOST


def _work(hosts: HostsConfig, command: Callable[[], int], log: str) -> None:
    if hasattr(os, "setsid"):  # not on Windows
        os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _divert(log)
    try:
        code = exit_code(lambda: _connect_and_call(hosts, command))
        if code == 0:
            jax.distributed.shutdown()  # waits for the others
    except Exception as error:
        code = LOST if _LOSS.search(str(error)) else 1
        if code == 1:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # an orderly end would wait for hosts that may be gone


def _end_with_parent() -> None:
    """End this process, from another thread, when the one that the user has started is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(LOST)


def _divert(log: str) -> None:
    """Let only Python write on the screen: the libraries in C++ chat there, and die with a stack trace."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    sys.stdout = StandardOutput(os.fdopen(os.dup(1), "wb"), encoding="utf-8")
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    for number in (1, 2):
        os.dup2(file, number)


def _connect_and_call(hosts: HostsConfig, command: Callable[[], int]) -> int:
    given = hosts.coordinator is not None
    devices.set_up_process()  # before anything is compiled
    # JAX waits for the others outside Python, which could not answer; and there is nothing to be saved yet.
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        devices.connect(hosts.coordinator, hosts.hosts if given else None, hosts.host, hosts.host_timeout)
    except ValueError as error:
        if given:
            raise
        raise InputError(
            f"hosts is {hosts.hosts} and neither Slurm nor MPI nor a TPU pod says where they are: give --coordinator "
            "and --host"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)
    if jax.process_count() != hosts.hosts:
        raise InputError(f"hosts is {hosts.hosts} and {jax.process_count()} were started: give --hosts that number")
    os.write(1, _CONNECTED)
    return command()
