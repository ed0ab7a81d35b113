"""Two hosts on one machine: real processes of the real command, which meet at the loopback."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rwejax
from rwejax import SearchConfig, resume, search
from rwejax.errors import InputError
from rwejax.runtime import devices, launch
from rwejax.runtime.launch import LOST, HostsConfig
from tests.cli import commands

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "search.py"
FLAGS = shlex.split(
    "--nodes 2 --channels 2 --image-size 8 --train-images 128 --validation-images 32 --calibration-images 20 "
    "--population-size 4 --generations 3 --estimator rwe,nwot --training-minutes 0"
)
SENTENCE = r"error: another host has ended or is out of reach: [^\n]+\n"


def free_port():
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::", 0))
        return listener.getsockname()[1]


def start(folder, host, port, *flags, program=(SCRIPT,)):
    """The command of one host, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    place = () if host is None else ("--host", host, "--coordinator", f"127.0.0.1:{port}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
    }
    return subprocess.Popen(
        [sys.executable, *map(str, (*program, *flags, "--hosts", 2, *place))],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run folder of one process."""
    config = commands.load("search").parse(FLAGS).search
    folder = tmp_path_factory.mktemp("alone") / "run"
    search(SearchConfig(**{**vars(config), "run_dir": folder}))
    return folder


def assert_same(run, alone):
    """Equal genomes in equal order, a front of the same; scores up to the order of their sums."""
    assert_same_evaluations(run, alone)
    fronts = [csv.DictReader((each / "front.csv").read_text().splitlines()) for each in (run, alone)]
    assert [row["architecture"] for row in fronts[0]] == [row["architecture"] for row in fronts[1]]
    assert (run / "config.yaml").read_bytes() == (alone / "config.yaml").read_bytes()


def assert_same_evaluations(run, alone):
    lines = ((each / "evaluations.jsonl").read_text().splitlines() for each in (run, alone))
    found, expected = ([json.loads(line) for line in each] for each in lines)
    for one, other in zip(found, expected, strict=True):
        for name in other.keys() - {"seconds"}:
            if isinstance(other[name], str):
                assert one[name] == other[name]
            else:
                np.testing.assert_allclose(one[name], other[name], rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_hosts_find_and_train_what_one_does(alone, tmp_path):
    port, flags = free_port(), [*FLAGS, "--training-epochs", "1", "--run-dir", "run"]
    processes = [start(tmp_path / str(host), host, port, *flags) for host in (0, 1)]
    (code, out, err), (other_code, other_out, other_err) = map(end, processes)
    assert (code, err) == (0, "")
    assert out.startswith("searching macro on digits: 3 generations of 4 genomes, in run\n")
    assert "training the front, random networks of its sizes and a plain CNN" in out
    assert "\nrun folder: run\nnext: " in out
    assert (other_code, other_err) == (0, "")
    assert other_out.splitlines() == [
        "host 1 of 2: evaluates its share of the search that host 0 leads",
        "host 1 of 2: the search has ended after 12 evaluations",
    ]
    assert list((tmp_path / "1").iterdir()) == []
    run = tmp_path / "0" / "run"
    assert_same_evaluations(run, alone)
    meta = json.loads((run / "meta.json").read_text())
    assert (meta["hosts"], meta["devices"]) == (2, 4)
    shutil.copytree(run, tmp_path / "alone")
    path = tmp_path / "alone" / "trainings.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    trained = {each.architecture: each for each in resume(tmp_path / "alone").trained}
    found = rwejax.load(run).trained
    assert len(found) == len(trained) > 1
    for each in found:
        assert each.validation_error == trained[each.architecture].validation_error
        assert each.train_loss == pytest.approx(trained[each.architecture].train_loss, rel=1e-4)


@pytest.mark.parametrize("hosts", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_host_is_killed_and_the_run_goes_on(alone, tmp_path, hosts):
    port, run = free_port(), tmp_path / "0" / "run"
    leader = start(tmp_path / "0", 0, port, *FLAGS, "--run-dir", "run")
    other = start(tmp_path / "1", 1, port, *FLAGS, program=("-m", "tests.runtime.dying_host", 2))
    assert end(other)[0] == -signal.SIGKILL
    killed = time.monotonic()
    code, out, err = end(leader)
    assert time.monotonic() - killed < 60
    assert code == LOST
    assert re.fullmatch(SENTENCE, err)
    assert "Traceback" not in out
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 4

    if hosts == 1:
        resume(run)
    else:  # with neither the same flags nor the folder on the other host
        port = free_port()
        processes = [start(tmp_path / str(host), host, port, "--resume", "run") for host in (0, 1)]
        (code, out, err), (other_code, _, other_err) = map(end, processes)
        assert (code, err, other_code, other_err) == (0, "", 0, "")
        assert out.startswith("resuming macro on digits")
    assert_same(run, alone)


@pytest.mark.slow
def test_the_death_of_the_leader_ends_the_others(tmp_path):
    port = free_port()
    leader = start(tmp_path / "0", 0, port, *FLAGS, program=("-m", "tests.runtime.dying_host", 1))
    other = start(tmp_path / "1", 1, port, *FLAGS)
    assert end(leader)[0] == -signal.SIGKILL
    killed = time.monotonic()
    code, out, err = end(other)
    assert time.monotonic() - killed < 60
    assert code == LOST
    assert re.fullmatch(SENTENCE, err)
    assert out == "host 1 of 2: evaluates its share of the search that host 0 leads\n"


@pytest.mark.slow
def test_a_host_that_does_not_come_is_not_waited_for_forever(tmp_path):
    processes = [start(tmp_path / str(host), host, free_port(), *FLAGS, "--host-timeout", "1") for host in (0, None)]
    (code, out, err), unplaced = map(end, processes)
    assert (code, out) == (LOST, "")
    assert re.fullmatch(r"error: not all of 2 hosts came within 1 s: [^\n]+\n", err)
    sentence = "hosts is 2 and neither Slurm nor MPI nor a TPU pod says where they are: give --coordinator and --host"
    assert unplaced == (2, "", f"error: {sentence}\n")


LISTENING = "0A"


def listening(port):
    """The addresses on which a port is open, as Linux writes them."""
    tables = [Path("/proc/net", name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    found = [line.split()[1:4] for table in tables for line in table]
    return {local.split(":")[0] for local, _, state in found if state == LISTENING and int(local[-4:], 16) == port}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no /proc/net/tcp")
def test_host_0_listens_on_its_own_address_alone(tmp_path):
    port, deadline = free_port(), time.monotonic() + 120
    process = start(tmp_path, 0, port, *FLAGS, "--host-timeout", "20")
    try:
        while not (found := listening(port)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found <= {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, which IPv6 writes so too
        assert found
    finally:
        process.terminate()
        assert end(process) == (128 + signal.SIGTERM, "", "interrupted\n")


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(
        InputError, match=r"^coordinator is '192.0.2.1:\d+', and host 0 cannot listen there \(.*\): give"
    ):
        launch.launch(HostsConfig(2, 0, f"192.0.2.1:{free_port()}"), dict)


def test_behind_a_translated_address_the_environment_says_where_to_listen(monkeypatch):
    monkeypatch.setenv(devices.BIND_ADDRESS, f"[::1]:{free_port()}")
    launch._check_port(HostsConfig(2, 0, "192.0.2.1:8476"))


def test_a_port_in_use_is_refused():
    with socket.create_server(("", 0)) as taken:
        where = HostsConfig(2, 0, f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(InputError, match=r"cannot listen there \(Address already in use\)"):
            launch.launch(where, dict)


@pytest.mark.parametrize(
    ("code", "log", "expected", "words"),
    [
        (
            -signal.SIGABRT,
            b"rwejax: connected\nF1 the JAX distributed service detected",
            LOST,
            "another host has ended",
        ),
        (-signal.SIGABRT, b"F1 the JAX distributed service detected", LOST, "not all of 2 hosts came within 300 s"),
        (-signal.SIGABRT, b"rwejax: connected\nfree(): invalid size", 134, "was ended by SIGABRT"),
        (-signal.SIGKILL, b"rwejax: connected\n", 137, "was ended by SIGKILL"),
        (2, b"rwejax: connected\n", 2, ""),
    ],
)
def test_an_end_without_python_is_explained(capsys, code, log, expected, words):
    assert launch._explain(code, log, HostsConfig(2, 0, "10.0.0.1:8476")) == expected
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--hosts 2 --host 0", "hosts is 2: give --coordinator"),
        ("--hosts 2 --coordinator 10.0.0.1:8476", "hosts is 2: give --host"),
        ("--host 0 --coordinator 10.0.0.1:8476", "host is 0, but of how many hosts: give --hosts"),
        ("--coordinator 10.0.0.1:8476", "coordinator is 10.0.0.1:8476, but of how many hosts: give --hosts"),
        ("--hosts 2 --host 2 --coordinator 10.0.0.1:8476", "host is 2, of 2 hosts: give 0 to 1"),
        ("--hosts 2 --host -1 --coordinator 10.0.0.1:8476", "host is -1, of 2 hosts: give 0 to 1"),
        ("--hosts 0", "hosts is 0: give 1 or more"),
        ("--hosts 2 --host-timeout 0", "host_timeout is 0: give 1 or more"),
        ("--hosts 2 --host 0 --coordinator 10.0.0.1", "coordinator is '10.0.0.1': give host 0's ADDRESS:PORT"),
        ("--hosts 2 --host 0 --coordinator 10.0.0.1:99999", "coordinator is '10.0.0.1:99999': give host 0's"),
        ("--hosts 2 --population-size 1", "population_size is 1"),
    ],
)
def test_bad_flags_are_one_sentence(monkeypatch, tmp_path, capfd, flags, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = commands.caller(commands.load("search"), monkeypatch, capfd)(*shlex.split(flags))
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", err)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_hosts_are_no_part_of_the_search():
    script = commands.load("search")
    parsed = script.parse(shlex.split("--hosts 2 --host 1 --coordinator a:1 --seed 3"))
    assert parsed.search == SearchConfig(seed=3)
