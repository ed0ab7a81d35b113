"""Nothing that only Linux has is needed: a process that lacks it, as one on Windows does, imports and searches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROLOGUE = """
import os, pkgutil, sys, warnings
for missing in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[missing] = None
warnings.filterwarnings("ignore", "only soft file lock is available")  # filelock, of what is neither POSIX nor Windows
# What others need is theirs: they are imported first, and find it here.
import jax, flax, optax, matplotlib.pyplot, sklearn.datasets, orbax.checkpoint, evosax, evosax.algorithms, rich, tyro
for missing in ("sysconf", "setsid", "sched_getaffinity", "fork", "getuid", "killpg"):
    delattr(os, missing)
"""


def run(code):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", PROLOGUE + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_module_is_imported():
    code = """
import importlib, rwejax
names = [each.name for each in pkgutil.walk_packages(rwejax.__path__, "rwejax.") if not each.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    assert int(run(code)[0]) > 100


@pytest.mark.slow
def test_a_search_and_its_resumption(tmp_path):
    code = f"""
import rwejax
jax.config.update("jax_disable_most_optimizations", True)
sizes = dict(nodes=2, channels=2, train_images=40, validation_images=20, calibration_images=20, training_minutes=0)
config = rwejax.SearchConfig(**sizes, population_size=4, generations=2, run_dir={str(tmp_path / "run")!r})
found = rwejax.search(config)
print(len(found.genomes), (rwejax.resume(found.run_dir).objectives == found.objectives).all())
"""
    assert run(code) == ["8", "True"]
