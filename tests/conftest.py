"""Two devices, as on the smallest machine that people search on, and the data that tests may use where it is."""

import gc
import itertools
import os
import signal
import tempfile
from importlib import metadata
from pathlib import Path

# What one test has compiled, another need not, whichever process it runs in; from the same seconds on as where commands
# keep it, with which NSGA-II is among it on a fast machine too. JAX reads this when it is imported.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compilations = tempfile.TemporaryDirectory(prefix="rwejax-compilations-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compilations.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

# XLA's older way to compile loops takes half as long. And what is compiled comes in one piece: each of the usual 32 is
# registered with the C library, which looks through all of a process to forget one, so that the last tests took ten
# times as long as alone. JAX 0.12 has neither option, and ends the process at an unknown one. JAX reads this when it
# starts.
if metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = " ".join(
        [
            os.environ.get("XLA_FLAGS", ""),
            "--xla_cpu_use_fusion_emitters=false",
            "--xla_cpu_parallel_codegen_split_count=1",
        ]
    )

# Each core has a worker of its own, and BLAS's threads would wait for each other. NumPy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import jax
import pytest

# What tests trace and import is much and stays: to look through it for garbage took a sixth of their time.
gc.set_threshold(100_000)
modules = itertools.count()

# A shell that runs the tests in the background has Ctrl-C ignored, and nohup SIGHUP, and Python leaves that so.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
jax.config.update("jax_num_cpu_devices", 2)
# Most of a test's time is compilation, and no result may depend on how well the code is optimised.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def handlers_of_signals():
    """A command leaves those that end its process, which is the tests' own where a test calls it."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture(autouse=True, scope="module")
def caches_of_jax():
    """Each holds what was lowered and compiled, gigabytes of some dozens of modules, through which lowerings look."""
    yield
    if next(modules) % 12 == 11:
        jax.clear_caches()


@pytest.fixture(scope="session")
def truth() -> Path:
    """The folder of published tables."""
    folder = os.environ.get("RWEJAX_TRUTH")
    if not folder:
        pytest.skip("RWEJAX_TRUTH names no folder of published tables")
    return Path(folder)
